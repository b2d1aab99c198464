"""What frozen layers made of pictures, kept on disk: ``keys`` name it, a ``shelf`` holds it.

Nothing here needs Keras.
"""
