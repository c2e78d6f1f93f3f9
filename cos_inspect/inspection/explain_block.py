"""The form of an explanation: a title, and below it a label and a text on each line."""


def block(title: str, *lines: tuple[str, str]) -> str:
    """A title, and a line for each label whose text is not empty. Of equal labels that follow
    each other, the first alone is shown."""
    shown = [(label, text) for label, text in lines if text]
    width = max((len(label) for label, _ in shown), default=0)
    said = [title]
    before = ""
    for label, text in shown:
        said.append(f"  {'' if label == before else label:{width}}  {text}")
        before = label
    return "\n".join(said)
