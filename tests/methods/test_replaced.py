import pytest

from motionloom.methods.replaced import replaced


class Owner:
    def one(self):
        return "own"


def test_replaced_methods_come_back_also_where_others_replaced_them_before():
    owner = Owner()
    with replaced(owner, one=lambda: "outer"):
        with replaced(owner, one=lambda: "inner", two=lambda: "new"):
            assert (owner.one(), owner.two()) == ("inner", "new")
        assert owner.one() == "outer"
        assert not hasattr(owner, "two")
    assert owner.one() == "own"
    assert vars(owner) == {}


def test_a_failure_brings_them_back_too():
    owner = Owner()
    with pytest.raises(KeyError), replaced(owner, one=lambda: {}["nothing"]):
        owner.one()
    assert owner.one() == "own"
