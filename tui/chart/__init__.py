"""Curves as characters: growing series, axes and a braille raster. Knows numpy, knows no Textual."""
