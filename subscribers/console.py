"""``python -m subscribers.console``: one readable line for each change of any job."""

from subscribers.lines import line
from subscribers.service import say, start
from subscribers.subscriber import Subscriber


def main() -> None:
    Subscriber("console").run(lambda event: say(line(event)))


if __name__ == "__main__":
    start(main)
