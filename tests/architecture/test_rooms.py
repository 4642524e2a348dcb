"""One order of rooms: each imports only what stands before it, so a reader never walks in a circle."""

from tests.architecture.rooms import FOLDER, ORDER, Import, imports, modules


def test_every_room_has_its_place_in_the_order():
    """A new folder is put into the list by whoever makes it."""
    found = {path.relative_to(FOLDER).with_suffix("").parts[0] for path in modules()}
    assert found == set(ORDER)
    assert len(set(ORDER)) == len(ORDER)


def test_nothing_imports_a_room_that_stands_after_it():
    """No import runs back up."""
    found = list(imports())
    assert len(found) > len(modules())  # it does read them
    assert [f"{item.importer} imports {item.imported}" for item in found if item.climbs] == []


def test_an_import_that_climbs_is_seen():
    """The check can fail."""
    assert Import("geometry/pose", "delivery.bag").climbs
    assert Import("errors", "log").climbs
    assert not Import("delivery/bag", "workspace.checksums").climbs
    assert not Import("scene/ingest", "scene.source").climbs
