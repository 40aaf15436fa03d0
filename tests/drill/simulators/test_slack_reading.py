"""What Slack makes of a message, as far as its reference says."""

from __future__ import annotations

import httpx
import pytest

from drill.simulators.slack import WEBHOOK_PATH, SlackSimulator
from drill.simulators.slack_reading import read
from drill.simulators.wire import serve
from handrail.clock import SystemClock


def test_what_is_not_escaped_notifies_and_can_be_pressed():
    """A mention is a mention in any part of the attachment; a link shows its label and leads elsewhere."""
    shown = read(
        {"title": "<!channel>", "text": "<https://evil.test|bank.test> <@U1>", "footer": "see http://a.test/x"}
    )
    assert shown.mentions == ("!channel", "@U1")
    assert shown.links == ("https://evil.test", "http://a.test/x")
    assert shown.text == "bank.test @U1"


def test_what_is_escaped_is_text():
    """Three characters are enough, and only their entities are read."""
    shown = read({"text": "&lt;!channel&gt; &amp;lt; &quot;"})
    assert (shown.text, shown.mentions, shown.links) == ("<!channel> &lt; &quot;", (), ())


@pytest.mark.parametrize(("names", "styled"), [(["text"], True), (["pretext"], False)])
def test_a_text_is_markup_only_where_the_message_says_so(names, styled):
    """`mrkdwn_in` names the parts."""
    assert read({"text": "so *bold* it is", "mrkdwn_in": names}).styled is styled
    assert not read({"text": "2 * 3 * 4, a_b_c", "mrkdwn_in": names}).styled


def test_a_long_text_is_folded_and_a_very_long_one_cut():
    """Folded at 700 characters or 5 line ends, cut at 8,000 characters; at most 300 of a footer and 5 buttons."""
    assert not read({"text": "x" * 699 + "\n"}).folded
    assert read({"text": "x" * 700}).folded
    assert read({"text": "1\n2\n3\n4\n5\n6"}).folded
    assert not read({"text": "x" * 8_000}).cut
    assert read({"text": "x" * 8_001}).cut
    assert read({"text": "", "footer": "x" * 301}).cut
    assert read({"text": "", "actions": [{}] * 6}).cut


def test_more_than_a_hundred_attachments_are_refused():
    """Slack takes the message whole or not at all."""
    slack = SlackSimulator(SystemClock())
    with serve(slack) as server:
        for count, status in ((100, 200), (101, 400)):
            answer = httpx.post(server.url + WEBHOOK_PATH, json={"attachments": [{"text": "x"}] * count})
            assert answer.status_code == status
    assert len(slack.messages) == 1
