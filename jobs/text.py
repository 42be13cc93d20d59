"""What others' objects say of themselves, as text that can be stored."""


def text_of(value: object) -> str:
    """``str(value)`` without lone surrogates, which UTF-8 cannot hold; the name of its class when that raises."""
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception:
        text = type(value).__name__
    return str.encode(text, "utf-8", "replace").decode()
