"""What schemathesis cannot know of the API and its configuration cannot say."""

import uuid

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    """Gives each create of a chain of calls an idempotency key of its own.

    A create that is replayed names the item of the first one, which may have been deleted since: the next call of the
    chain would rightly find nothing.
    """
    headers, meta = case.headers or {}, case.meta
    if meta and meta.phase.name.value == "stateful" and meta.generation.mode.is_positive and "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = uuid.uuid4().hex
