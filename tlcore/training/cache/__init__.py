"""What frozen layers made of pictures, kept on disk: ``keys`` name it, a ``shelf`` holds it,
``room`` bounds it.

Nothing here needs Keras.
"""
