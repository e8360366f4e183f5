"""The common corruptions of ImageNet-C (Hendrycks and Dietterich, arXiv 1903.12261), on images at their own size.

Each corruption is a function of an image (H, W, 3) uint8, a severity from 1 to 5 and a generator, which returns an image
of the same shape and type. Its parameters are those of the code that the paper's authors published; lengths in pixels
are scaled, see pixels.py. table.py has the table, and applies a corruption by name.
"""
