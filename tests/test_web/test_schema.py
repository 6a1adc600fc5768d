"""Tests of the OpenAPI description, with schemathesis."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip('schemathesis')

import schemathesis  # noqa: E402
from schemathesis.generation import GenerationMode  # noqa: E402

from mmps.web import create_app  # noqa: E402

# Versions for Python 3.10 know no pictures.
schemathesis.serializer.alias(
    ['image/jpeg', 'image/png', 'image/webp'], 'application/octet-stream'
)
EXAMPLES = 25
OPERATIONS = {
    'GET /api/info': {200},
    'GET /api/frames': {200, 422},
    'GET /api/frames/{frame_id}/image': {200, 404, 422},
    'GET /api/frames/{frame_id}/people': {200, 404, 422},
    'GET /api/people/{person_id}/crop': {200, 404, 422},
    'POST /api/uploads': {201, 415},
    'GET /api/uploads/{upload_id}/image': {200, 404, 422},
    'POST /api/search': {200, 404, 422},
}


@pytest.fixture(scope='module')
def app(world):
    return create_app(
        world.searcher, world.gallery, allowed_hosts=['testserver']
    )


@pytest.fixture(scope='module')
def schema(app):
    return schemathesis.openapi.from_asgi('/api/openapi.json', app)


@pytest.fixture(scope='module')
def known(world, client_of_module, picture) -> dict[str, list[str]]:
    """Ids that exist; guessing would never find one."""
    upload = client_of_module.post('/api/uploads', content=picture).json()
    return {
        'frame_id': [str(frame.id) for frame in world.gallery.list_frames()],
        'person_id': sorted(world.who),
        'upload_id': [upload['id']],
    }


@pytest.fixture(scope='module')
def client_of_module(app):
    from fastapi.testclient import TestClient

    return TestClient(app)


def use_known(case, known, draw) -> None:
    """Put ids that exist, and a picture, into a generated request."""
    for name in case.path_parameters:
        case.path_parameters[name] = draw(st.sampled_from(known[name]))
    if not isinstance(case.body, dict):
        return
    for query in case.body.get('queries', ()):
        for name in ('upload', 'frame', 'person'):
            if name in query:
                query[name] = draw(st.sampled_from(known[f'{name}_id']))
        if 'bbox' in query and draw(st.booleans()):
            query['bbox'] = [10.0, 20, 200, 300.5]


def test_all_is_described(schema):
    labels = {op.ok().label for op in schema.get_all_operations()}
    assert labels == set(OPERATIONS)


@pytest.mark.filterwarnings('ignore::Warning')
@pytest.mark.parametrize('label', OPERATIONS)
def test_operation(schema, known, picture, label):
    operation = schema.find_operation_by_label(label)
    seen: Counter[int] = Counter()

    def run(mode, real):
        @given(st.data())
        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def check(data):
            case = data.draw(operation.as_strategy(generation_mode=mode))
            if real:
                use_known(case, known, data.draw)
            if real and label == 'POST /api/uploads':
                case = operation.Case(body=picture, media_type='image/jpeg')
            response = case.call_and_validate(
                # What is well-formed may still be no picture, or name
                # nothing that exists.
                excluded_checks=[
                    schemathesis.checks.CHECKS.get_one(
                        'positive_data_acceptance'
                    )
                ]
            )
            assert response.status_code < 500
            seen[response.status_code] += 1

        check()

    run(GenerationMode.POSITIVE, False)
    run(GenerationMode.POSITIVE, True)
    if label != 'GET /api/info':
        run(GenerationMode.NEGATIVE, False)
    # Without this, all of it might have ended at the first check.
    assert set(seen) >= OPERATIONS[label], seen
