"""A run as one HTML file that needs nothing else: to read, to send, to print.

Its charts are drawn here as SVG. Plotly's script alone would be 4.5 MB in each report, prints
badly, and is not needed for pictures that stand still.

==========  ==================================================================
material    all that a report says, gathered
marks       numbers and texts as HTML, escaped
charts      curves, bars, the reliability diagram
faces       pictures as small JPEGs inside the file
opening     sections: what was asked, the answer in short, the pictures
figures     sections: recipe, curves, numbers, matrix
closing     sections: best and worst pictures, limits, how it was made
page        all of it under one style sheet
make        the recipe
==========  ==================================================================
"""
