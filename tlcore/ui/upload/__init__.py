"""The Upload page, a module a question: bringing, checking, labelling, dividing."""
