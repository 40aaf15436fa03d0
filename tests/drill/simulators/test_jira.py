"""The simulated Jira answers by the published schemas, and refuses what the real one refuses."""

from __future__ import annotations

import json

import httpx
import jsonschema
import pytest
from jira import JIRA

from drill.simulators.jira import JiraSimulator
from drill.simulators.jira_content import Jql, JqlError, plain_text
from drill.simulators.jira_fields import CustomField
from drill.simulators.jira_workflow import Transition
from drill.simulators.wire import serve
from handrail.http import build_client

ADF = {
    "type": "doc",
    "version": 1,
    "content": [
        {"type": "heading", "attrs": {"level": 3}, "content": [{"type": "text", "text": "What happened"}]},
        {
            "type": "paragraph",
            "content": [
                {"type": "text", "text": "Three slow calls of ", "marks": [{"type": "strong"}]},
                {"type": "text", "text": "support-bot"},
            ],
        },
        {
            "type": "bulletList",
            "content": [
                {
                    "type": "listItem",
                    "content": [{"type": "paragraph", "content": [{"type": "text", "text": "6.2 s"}]}],
                }
            ],
        },
        {"type": "codeBlock", "attrs": {"language": "json"}, "content": [{"type": "text", "text": "{}"}]},
    ],
}


def document(*content):
    return {"type": "doc", "version": 1, "content": list(content)}


@pytest.fixture
def jira(clock):
    """A Jira Cloud without issues."""
    return JiraSimulator(clock)


@pytest.fixture
def client(jira):
    """A client that signs in as Handrail."""
    auth = ("handrail@example.com", "jira-token")
    with build_client(base_url="https://jira/rest/api/3", auth=auth, transport=httpx.WSGITransport(app=jira)) as client:
        yield client


@pytest.fixture
def conforms(contracts):
    """Checks a body against a schema of Jira's OpenAPI document."""
    spec = json.loads((contracts / "jira" / "jira-v3-subset.openapi.json").read_text())

    def check(body, name):
        schema = spec["components"]["schemas"][name] | {"components": spec["components"]}
        jsonschema.Draft7Validator(schema).validate(body)
        unknown = set(body) - set(schema["properties"])
        assert not unknown, f"{name} has no {unknown}"

    return check


def create(client, **fields):
    wanted = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "Slow", "description": ADF}
    return client.post("/issue", json={"fields": wanted | fields})


def test_answers_conform(jira, client, conforms):
    """Every answer fits the schema that Jira publishes for it."""
    created = create(client, labels=["handrail"])
    assert created.status_code == 201
    conforms(created.json(), "CreatedIssue")
    key = created.json()["key"]
    conforms(client.get(f"/issue/{key}").json(), "IssueBean")
    search = client.post("/search/jql", json={"jql": "project = OPS", "fields": ["summary"], "expand": None})
    conforms(search.json(), "SearchAndReconcileResults")
    conforms(client.get(f"/issue/{key}/transitions").json(), "Transitions")
    comment = client.post(f"/issue/{key}/comment", json={"body": ADF, "properties": [{"key": "k", "value": 1}]})
    assert comment.status_code == 201
    conforms(comment.json(), "Comment")
    conforms(client.get(f"/issue/{key}/comment", params={"orderBy": "-created"}).json(), "PageOfComments")
    link = {"globalId": "g", "object": {"url": "https://x", "title": "Dashboard"}}
    conforms(client.post(f"/issue/{key}/remotelink", json=link).json(), "RemoteIssueLinkIdentifies")
    client.put(f"/issue/{key}/properties/handrail", json={"a": 1})
    conforms(client.get(f"/issue/{key}/properties/handrail").json(), "EntityProperty")
    conforms(client.get("/serverInfo").json(), "ServerInformation")
    conforms(create(client, summary="").json(), "ErrorCollection")
    assert client.get("/myself").json()["emailAddress"] == "handrail@example.com"
    assert jira.issue(key).labels == ["handrail"]


def test_example_document_is_valid(contracts, client):
    """The document that these tests send is valid by the published schema, and is taken and returned as it was."""
    schema = json.loads((contracts / "jira" / "adf-full.schema.json").read_text())
    jsonschema.validate(ADF, schema)
    key = create(client).json()["key"]
    assert client.get(f"/issue/{key}").json()["fields"]["description"] == ADF
    assert "Three slow calls of support-bot" in plain_text(ADF)


PARAGRAPH = {"type": "paragraph", "content": [{"type": "text", "text": "x"}]}
BAD_DOCUMENTS = [
    "wiki text",
    {"type": "paragraph", "version": 1, "content": []},
    {"type": "doc", "content": [PARAGRAPH]},
    {"type": "doc", "version": 2, "content": [PARAGRAPH]},
    {"type": "doc", "version": 1},
    document({"type": "text", "text": "not in a block"}),
    document({"type": "paragraph", "content": [{"type": "text", "text": ""}]}),
    document({"type": "paragraph", "content": [{"text": "without a type"}]}),
    document({"type": "invented", "content": []}),
]


@pytest.mark.parametrize("bad", BAD_DOCUMENTS, ids=range(len(BAD_DOCUMENTS)))
def test_bad_documents_are_refused(contracts, client, bad):
    """What the published schema forbids is refused in descriptions and in comments."""
    schema = json.loads((contracts / "jira" / "adf-full.schema.json").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, schema)
    refused = create(client, description=bad)
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["description"])
    key = create(client).json()["key"]
    assert client.post(f"/issue/{key}/comment", json={"body": bad}).status_code == 400


def test_content_limit_counts_the_json(client):
    """A document is too long when its JSON is, not its words; a refused create still uses up a number."""
    long = document({"type": "paragraph", "content": [{"type": "text", "text": "x" * 32_700}]})
    refused = create(client, description=long)
    assert refused.json()["errors"] == {"description": "CONTENT_LIMIT_EXCEEDED"}
    assert create(client).json()["key"] == "OPS-2"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("summary", "x" * 256),
        ("summary", "two\nlines"),
        ("labels", ["with space"]),
        ("labels", ["x" * 256]),
        ("project", {"key": "NOPE"}),
        ("issuetype", {"name": "Nonsense"}),
        ("priority", {"name": "Urgent!"}),
        ("customfield_1", "unknown"),
    ],
)
def test_bad_fields_are_refused(client, field, value):
    """A field that Jira would refuse is refused by its name."""
    refused = create(client, **{field: value})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, [field])
    assert create(client, summary="x" * 255, labels=["a-label"]).status_code == 201


def test_field_off_the_screen(jira, client):
    """An optional field that is not on the screen is refused, and the issue is made without it."""
    jira.fields.screen.remove("priority")
    assert list(create(client, priority={"name": "High"}).json()["errors"]) == ["priority"]
    assert create(client).status_code == 201


def test_search(jira, client):
    """Open issues with a label are found, by default with their id alone; there is no total."""
    first = create(client, labels=["handrail", "a"]).json()
    second = create(client, labels=["a"]).json()
    query = 'project = OPS AND labels = "a" AND statusCategory != Done ORDER BY created DESC'
    found = client.post("/search/jql", json={"jql": query}).json()
    assert found == {"issues": [{"id": second["id"]}, {"id": first["id"]}], "isLast": True}
    assert client.post(f"/issue/{second['key']}/transitions", json={"transition": {"id": "31"}}).status_code == 204
    assert (jira.issue(second["key"]).status, jira.issue(second["key"]).status_category) == ("Done", "done")
    found = client.post("/search/jql", json={"jql": query, "fields": ["status"]}).json()["issues"]
    assert [issue["key"] for issue in found] == [first["key"]]
    assert found[0]["fields"]["status"]["statusCategory"]["key"] == "new"
    page = client.post("/search/jql", json={"jql": "project = OPS", "maxResults": 1}).json()
    assert page["isLast"] is False
    rest = {"jql": "project = OPS", "maxResults": 1, "nextPageToken": page["nextPageToken"]}
    assert client.post("/search/jql", json=rest).json()["isLast"] is True


@pytest.mark.parametrize("jql", ["", "ORDER BY created", "text ~ 'x'", 'labels = "a" OR labels = "b"', "summary ~ x"])
def test_queries_that_are_not_understood(client, jql):
    """A query that is unbounded or beyond the simulator is an error, never an empty answer."""
    with pytest.raises(JqlError):
        Jql(jql)
    assert client.post("/search/jql", json={"jql": jql}).status_code == 400


def test_search_lags(jira, client, clock):
    """A search does not know the newest issues yet, unless their ids are named."""
    jira.search.lag_s = 30
    made = create(client).json()
    assert client.post("/search/jql", json={"jql": "project = OPS"}).json()["issues"] == []
    reconciled = {"jql": "project = OPS", "reconcileIssues": [int(made["id"])]}
    assert client.post("/search/jql", json=reconciled).json()["issues"] == [{"id": made["id"]}]
    clock.advance(30)
    assert len(client.post("/search/jql", json={"jql": "project = OPS"}).json()["issues"]) == 1


def test_ambiguous_create(jira, client):
    """The answer is a 504, but the issue is there."""
    jira.ambiguous()
    assert create(client).status_code == 504
    assert len(jira.issues) == 1
    assert create(client).status_code == 201


def test_edit_and_links(jira, client):
    """Labels are added and removed one by one, and a remote link with the same globalId is replaced."""
    key = create(client, labels=["a", "b"]).json()["key"]
    update = {"update": {"labels": [{"remove": "a"}, {"add": "c"}]}}
    assert client.put(f"/issue/{key}", json=update).status_code == 204
    assert jira.issue(key).labels == ["b", "c"]
    for title, status in (("one", 201), ("two", 200)):
        link = {"globalId": "g", "object": {"url": "https://x", "title": title}}
        assert client.post(f"/issue/{key}/remotelink", json=link).status_code == status
    assert [link["object"]["title"] for link in jira.issue(key).remote_links] == ["two"]


def test_authentication(jira):
    """Without the right credentials everything but serverInfo is refused."""
    transport = httpx.WSGITransport(app=jira)
    for auth in (None, ("handrail@example.com", "wrong")):
        with build_client(base_url="https://jira/rest/api/3", auth=auth, transport=transport) as client:
            assert client.get("/myself").status_code == 401
            assert client.get("/serverInfo").json()["deploymentType"] == "Cloud"


def test_cloud_has_no_old_search(client):
    """The search of before is gone from Cloud."""
    assert client.get("/search", params={"jql": "project = OPS"}).status_code == 410


def test_data_center(jira):
    """Data Center speaks version 2, wiki text and bearer tokens, and has the old search with a total."""
    jira.deployment = "datacenter"
    transport = httpx.WSGITransport(app=jira)
    headers = {"Authorization": "Bearer jira-token"}
    with build_client(base_url="https://jira/rest/api/2", headers=headers, transport=transport) as client:
        assert create(client).status_code == 400
        key = create(client, description="h3. Wiki text").json()["key"]
        assert client.post(f"/issue/{key}/comment", json={"body": "wiki"}).status_code == 201
        found = client.post("/search", json={"jql": "project = OPS"}).json()
        assert (found["total"], found["issues"][0]["key"]) == (1, key)
        assert client.get("https://jira/rest/api/3/myself").status_code == 404
        assert client.get("/serverInfo").json()["deploymentType"] == "Server"


@pytest.mark.parametrize("deployment", ["cloud", "datacenter"])
def test_client_library(jira, deployment):
    """The usual client library works against the simulator over a socket: create, search, comment, link, close."""
    jira.deployment = deployment
    cloud = deployment == "cloud"
    text = ADF if cloud else "wiki"
    signed = {"basic_auth": ("handrail@example.com", "jira-token")} if cloud else {"token_auth": "jira-token"}
    with serve(jira) as server:
        options = {"rest_api_version": "3" if cloud else "2"}
        library = JIRA(server.url, options=options, max_retries=0, timeout=(5, 20), **signed)
        fields = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "Slow", "labels": ["a"]}
        key = library.create_issue(fields=fields | {"description": text}, prefetch=False).key
        search = library.enhanced_search_issues if cloud else library.search_issues
        assert [issue.key for issue in search('labels = "a"', fields=["summary"])] == [key]
        library.add_comment(key, text)
        assert len(library.comments(key)) == 1
        library.transition_issue(key, "Done")
        library.close()
    assert jira.issue(key).status == "Done"


def test_what_is_beside_an_issue_conforms(jira, client, conforms, contracts):
    """Fields of the create screen, properties, attachments and links, by the published schemas."""
    jira.fields.custom["customfield_10010"] = CustomField("Impact", required=True, allowed=("High", "Low"))
    types = client.get("/issue/createmeta/OPS/issuetypes").json()
    conforms(types, "PageOfCreateMetaIssueTypes")
    number = next(row["id"] for row in types["issueTypes"] if row["name"] == "Task")
    fields = client.get(f"/issue/createmeta/OPS/issuetypes/{number}").json()
    conforms(fields, "PageOfCreateMetaIssueTypeWithField")
    for row in fields["fields"]:
        conforms(row, "FieldCreateMetadata")
    assert list(create(client).json()["errors"]) == ["customfield_10010"]
    key = create(client, customfield_10010={"value": "High"}).json()["key"]
    read = client.get(f"/issue/{key}", params={"fields": "status", "properties": "handrail"}).json()
    conforms(read, "IssueBean")
    assert read["properties"] == {}
    transitions = client.get(f"/issue/{key}/transitions", params={"expand": "transitions.fields"}).json()
    conforms(transitions, "Transitions")
    header = {"X-Atlassian-Token": "no-check"}
    file = {"file": ("a.txt", b"text", "text/plain")}
    (attached,) = client.post(f"/issue/{key}/attachments", files=file, headers=header).json()
    conforms(attached, "Attachment")
    assert jira.issue(key).attachments == {"a.txt": b"text"}
    assert client.post(f"/issue/{key}/attachments", files=file).status_code == 403
    comment = client.post(
        f"/issue/{key}/comment", json={"body": ADF, "properties": [{"key": "k", "value": {"id": "x"}}]}
    )
    found = client.get(f"/comment/{comment.json()['id']}/properties/k")
    conforms(found.json(), "EntityProperty")
    assert client.get(f"/comment/{comment.json()['id']}/properties/other").status_code == 404


def test_a_clone_has_the_labels_and_not_the_properties(jira, client):
    """As when a person clones an issue in the browser."""
    body = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "a", "labels": ["l"]}
    key = client.post("/issue", json={"fields": body, "properties": [{"key": "p", "value": 1}]}).json()["key"]
    clone = jira.clone(key)
    assert (clone.labels, clone.properties, jira.issue(key).properties) == (["l"], {}, {"p": 1})


def test_issue_links(jira, client):
    """The same link twice is one; a kind that does not exist is 404."""
    one, other = (create(client).json()["key"] for _ in range(2))
    link = {"type": {"name": "Relates"}, "inwardIssue": {"key": one}, "outwardIssue": {"key": other}}
    for _ in range(2):
        assert client.post("/issueLink", json=link).status_code == 201
    assert jira.issue(one).links == {("Relates", other)}
    assert client.post("/issueLink", json=link | {"type": {"name": "Causes"}}).status_code == 404


def test_a_transition_whose_screen_asks_for_something(jira, client):
    """It is refused without, and what is not on the screen is refused with."""
    jira.workflow = [Transition("9", "Close", "Closed", "done", {"resolution": True})]
    key = create(client).json()["key"]
    path, body = f"/issue/{key}/transitions", {"transition": {"id": "9"}}
    assert list(client.post(path, json=body).json()["errors"]) == ["resolution"]
    assert list(client.post(path, json=body | {"fields": {"reason": "x"}}).json()["errors"]) == ["reason", "resolution"]
    assert client.post(path, json=body | {"fields": {"resolution": {"name": "Duplicate"}}}).status_code == 204
    assert client.get(f"/issue/{key}").json()["fields"]["resolution"] == {"name": "Duplicate"}


@pytest.mark.parametrize(("how", "stored"), [("reset", 1), ("reset before", 0)])
def test_a_connection_that_is_reset(jira, how, stored):
    """Before or after the issue was stored; who asked cannot tell which."""
    jira.ambiguous(how=how)
    with serve(jira) as server:
        auth = ("handrail@example.com", "jira-token")
        with (
            build_client(base_url=f"{server.url}/rest/api/3", auth=auth) as client,
            pytest.raises(httpx.TransportError),
        ):
            create(client)
    assert len(jira.issues) == stored


def test_rate_limits(jira, client):
    """The next request of that kind is refused with the headers that were asked for; others are not."""
    jira.limit(under="POST", retry_after="7", ratelimit_reason="jira-burst-based")
    assert client.get("/myself").status_code == 200
    refused = create(client)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
    assert refused.headers["ratelimit-reason"] == "jira-burst-based"
    assert create(client).status_code == 201
    jira.near_limit = True
    assert client.get("/myself").headers["x-ratelimit-nearlimit"] == "true"


def test_full_comments(jira, client):
    """413 from the limit on."""
    jira.comments.limit = 1
    key = create(client).json()["key"]
    assert [client.post(f"/issue/{key}/comment", json={"body": ADF}).status_code for _ in range(2)] == [201, 413]
