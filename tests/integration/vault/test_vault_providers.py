"""What every key provider promises, against real ones: files, a keyring, OpenBao, SoftHSM; AWS and Google against stand-ins."""

import secrets
from types import SimpleNamespace

import pytest
from provider_world import ROOT_CREDENTIAL, a_moto, a_softhsm, an_openbao, secret_file

from intramural.errors import IntegrityFailure, InvalidInput, Unavailable
from intramural.sealing import SealContext
from intramural.vault.providers import KeyChoice, open_provider
from intramural.vault.providers.gcp import GcpKeys

PLACE = SealContext("default", "key", "dataset:tickets key-1")
KINDS = ["local", "local with a passphrase", "keyring", "openbao", "aws", "gcp", "pkcs11"]
OWN = {"local", "local with a passphrase", "keyring", "openbao", "pkcs11"}
"""Who gives a data set a key of its own."""


@pytest.fixture(scope="module")
def openbao(tmp_path_factory):
    with an_openbao(tmp_path_factory.mktemp("bao")) as (address, _):
        yield address


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    pytest.importorskip("boto3", reason="the extra aws is not installed")
    with a_moto(tmp_path_factory.mktemp("moto")) as (address, _):
        yield address


class FakeKms:
    """Stands in for Google's client, at the methods that are used; there is no emulator."""

    def __init__(self):
        self._sealed, self._version = {}, 1

    def encrypt(self, request, timeout):
        body = secrets.token_bytes(40)
        self._sealed[body] = (request["plaintext"], request["additional_authenticated_data"])
        return SimpleNamespace(name=f"{request['name']}/cryptoKeyVersions/{self._version}", ciphertext=body)

    def decrypt(self, request, timeout):
        plain, bound = self._sealed.get(request["ciphertext"], (b"", None))
        if bound != request["additional_authenticated_data"]:
            raise type("InvalidArgument", (Exception,), {})
        return SimpleNamespace(plaintext=plain)

    def create_crypto_key_version(self, request, timeout):
        self._version += 1
        return SimpleNamespace(name=f"{request['parent']}/cryptoKeyVersions/{self._version}")

    def update_crypto_key_primary_version(self, request, timeout):
        assert request["crypto_key_version_id"] == str(self._version)

    def get_crypto_key(self, request, timeout):
        return SimpleNamespace(primary=SimpleNamespace(name=f"{request['name']}/cryptoKeyVersions/{self._version}"))


def a_keyring(folder):
    """Ask a keyring in a file from now on, as a desktop's needs a desktop; return how to put back the one before."""
    keyring = pytest.importorskip("keyring", reason="the extra keyring is not installed")
    files = pytest.importorskip("keyrings.alt.file", reason="the package keyrings.alt is not installed")
    before, ours = keyring.get_keyring(), files.PlaintextKeyring()
    ours.file_path = str(folder / "keyring.cfg")
    keyring.set_keyring(ours)
    return lambda: keyring.set_keyring(before)


def of(kind, request, tmp_path, monkeypatch):
    """The choice of a provider, with what it needs started."""
    choice = {"folder": tmp_path / "keys"}
    match kind:
        case "local with a passphrase":
            choice |= {"secret_file": secret_file(tmp_path / "passphrase", "correct horse")}
        case "keyring":
            request.addfinalizer(a_keyring(tmp_path))
            choice |= {"provider": "keyring"}
        case "openbao":
            address = request.getfixturevalue("openbao")
            credential = secret_file(tmp_path / "credential", ROOT_CREDENTIAL)
            choice |= {"provider": "openbao", "address": address, "secret_file": credential, "key": f"k{secrets.token_hex(4)}"}
        case "aws":
            address = request.getfixturevalue("moto")
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                monkeypatch.setenv(name, "tests")
            monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
            import boto3  # noqa: PLC0415 - an extra

            made = boto3.session.Session().client("kms", endpoint_url=address).create_key()
            choice |= {"provider": "aws", "address": address, "key": made["KeyMetadata"]["KeyId"]}
        case "pkcs11":
            address, pin = a_softhsm(tmp_path, monkeypatch)
            choice |= {"provider": "pkcs11", "address": address, "secret_file": pin}
    return KeyChoice(**choice)


@pytest.fixture(params=KINDS)
def provider(request, tmp_path, monkeypatch):
    if request.param == "gcp":
        return GcpKeys("projects/p/locations/l/keyRings/r/cryptoKeys/k", FakeKms())
    return open_provider(of(request.param, request, tmp_path, monkeypatch))


def test_what_was_wrapped_unwraps_in_its_place_only(provider):
    secret = secrets.token_bytes(32)
    wrapped = provider.wrap(secret, PLACE)

    assert provider.unwrap(wrapped, PLACE) == secret
    assert secret.hex() not in wrapped.model_dump_json()
    with pytest.raises(IntegrityFailure):
        provider.unwrap(wrapped, SealContext("other", "key", PLACE.id))


def test_a_changed_or_erased_wrap_does_not_open(provider):
    wrapped = provider.wrap(secrets.token_bytes(32), PLACE)

    for body in ("", "not base 64!", wrapped.body[: len(wrapped.body) // 2 // 4 * 4]):
        with pytest.raises((IntegrityFailure, Unavailable)):
            provider.unwrap(wrapped.model_copy(update={"body": body}), PLACE)


def test_after_a_rotation_old_wraps_open_and_new_ones_have_the_new_version(provider):
    secret = secrets.token_bytes(32)
    before = provider.wrap(secret, PLACE)

    version = provider.rotate()
    after = provider.wrap(secret, PLACE)

    assert provider.unwrap(before, PLACE) == provider.unwrap(after, PLACE) == secret
    assert after.version == version == provider.describe().version != before.version


def test_a_destroyed_own_key_opens_nothing_and_a_shared_one_is_never_destroyed(provider, request):
    shared = provider.wrap(b"s" * 32, PLACE)
    own = provider.wrap(b"o" * 32, PLACE, own="key-1")
    assert own.own == provider.describe().own_keys == (request.node.callspec.params["provider"] in OWN)

    assert not provider.destroy(shared)
    assert provider.destroy(own) == own.own

    assert provider.unwrap(shared, PLACE) == b"s" * 32
    if own.own:
        with pytest.raises((IntegrityFailure, Unavailable)):
            provider.unwrap(own, PLACE)
        assert provider.destroy(own)


def test_wraps_of_before_a_rotation_die_with_an_own_key(provider):
    """A re-wrapped key does not outlive its provider's key in an older form."""
    own = provider.wrap(b"o" * 32, PLACE, own="key-2")
    if not own.own:
        pytest.skip("this provider has no own keys")
    provider.rotate(own.key)
    again = provider.wrap(b"o" * 32, PLACE, own="key-2")

    assert provider.destroy(again)

    for each in (own, again):
        with pytest.raises((IntegrityFailure, Unavailable)):
            provider.unwrap(each, PLACE)


def test_it_says_where_the_key_is_and_that_it_answers(provider):
    provider.wrap(b"s" * 32, PLACE)
    found = provider.describe()

    assert (found.available, found.problem) == (True, None)
    assert found.where
    assert found.version


def test_an_openbao_that_is_away_or_sealed_is_named(tmp_path):
    credential = secret_file(tmp_path / "credential", "x")
    away = KeyChoice(folder=tmp_path, provider="openbao", address="http://127.0.0.1:9", secret_file=credential)

    with pytest.raises(Unavailable, match=r"OpenBao at http://127\.0\.0\.1:9 does not answer"):
        open_provider(away).wrap(b"s" * 32, PLACE)
    assert "does not answer" in open_provider(away).describe().problem


def test_a_credential_that_openbao_refuses_is_said_so_and_not_quoted(openbao, tmp_path):
    wrong = secret_file(tmp_path / "credential", "wrong-credential")
    provider = open_provider(KeyChoice(folder=tmp_path, provider="openbao", address=openbao, secret_file=wrong))

    with pytest.raises(Unavailable, match="403") as caught:
        provider.wrap(b"s" * 32, PLACE)
    assert "wrong-credential" not in f"{caught.value.message} {caught.value.hint}"


def test_a_pin_that_is_wrong_is_said_so(tmp_path, monkeypatch):
    address, _ = a_softhsm(tmp_path, monkeypatch)
    wrong = secret_file(tmp_path / "wrong", "9999")

    provider = open_provider(KeyChoice(folder=tmp_path, provider="pkcs11", address=address, secret_file=wrong))

    with pytest.raises(Unavailable, match="PKCS#11"):
        provider.wrap(b"s" * 32, PLACE)


def test_a_key_file_for_others_eyes_is_refused(tmp_path):
    provider = open_provider(KeyChoice(folder=tmp_path / "keys"))
    wrapped = provider.wrap(b"s" * 32, PLACE)
    (tmp_path / "keys" / "main.key").chmod(0o644)

    with pytest.raises(InvalidInput, match="read by others"):
        provider.unwrap(wrapped, PLACE)


def test_key_files_are_private_and_made_on_first_use(tmp_path):
    provider = open_provider(KeyChoice(folder=tmp_path / "keys"))
    assert not (tmp_path / "keys").exists()

    provider.wrap(b"s" * 32, PLACE, own="key-1")

    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in [tmp_path / "keys", *(tmp_path / "keys").iterdir()]}
    assert modes == {"keys": "0o700", "key-1.key": "0o600"}


def test_a_lost_key_file_is_not_replaced_by_a_new_one_in_silence(tmp_path):
    provider = open_provider(KeyChoice(folder=tmp_path / "keys"))
    wrapped = provider.wrap(b"s" * 32, PLACE)
    (tmp_path / "keys" / "main.key").unlink()

    with pytest.raises(Unavailable, match="is not there"):
        provider.unwrap(wrapped, PLACE)
    provider.wrap(b"t" * 32, PLACE)
    with pytest.raises(IntegrityFailure):
        provider.unwrap(wrapped, PLACE)


def test_a_passphrase_protects_the_file_and_another_does_not_open_it(tmp_path):
    folder, right = tmp_path / "keys", secret_file(tmp_path / "right", "correct horse")
    wrapped = open_provider(KeyChoice(folder=folder, secret_file=right)).wrap(b"s" * 32, PLACE)

    assert open_provider(KeyChoice(folder=folder, secret_file=right)).unwrap(wrapped, PLACE) == b"s" * 32
    for other in (secret_file(tmp_path / "wrong", "battery staple"), None):
        with pytest.raises(Unavailable, match="passphrase"):
            open_provider(KeyChoice(folder=folder, secret_file=other)).unwrap(wrapped, PLACE)
    assert "correct horse" not in (folder / "main.key").read_text()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"versions": {"1": "!"}}', b"\xff"])
def test_a_damaged_key_file_is_named(tmp_path, body):
    provider = open_provider(KeyChoice(folder=tmp_path))
    wrapped = provider.wrap(b"s" * 32, PLACE)
    (tmp_path / "main.key").write_bytes(body)

    with pytest.raises(Unavailable, match="damaged"):
        provider.unwrap(wrapped, PLACE)


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"key": "../../etc"}, "no name"),
        ({"provider": "openbao"}, "address"),
        ({"provider": "openbao", "address": "http://bao.example:8200"}, "not encrypted"),
        ({"provider": "aws"}, "key"),
        ({"provider": "gcp", "key": "short"}, "whole name"),
        ({"provider": "pkcs11"}, "module"),
    ],
)
def test_a_choice_that_lacks_something_says_what(tmp_path, choice, names):
    with pytest.raises(InvalidInput, match=names):
        open_provider(KeyChoice(folder=tmp_path, **choice))


def test_a_secret_file_for_others_eyes_is_refused(tmp_path):
    (tmp_path / "passphrase").write_text("correct horse")
    (tmp_path / "passphrase").chmod(0o644)

    with pytest.raises(InvalidInput, match="others may read it"):
        open_provider(KeyChoice(folder=tmp_path / "keys", secret_file=tmp_path / "passphrase")).wrap(b"s" * 32, PLACE)
