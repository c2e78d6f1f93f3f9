import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.client import read_client

CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0"


@pytest.mark.parametrize(
    ("user_agent", "name", "version", "platform"),
    [
        ("cos-python-sdk-v5.1.9.44", "cos-python-sdk-v5", "1.9.44", None),
        ("cos-php-sdk-v5.2.6.16", "cos-php-sdk-v5", "2.6.16", None),
        ("cos-go-sdk-v5/0.7.75", "cos-go-sdk-v5", "0.7.75", None),
        ("cos-nodejs-sdk-v5-2.15.4", "cos-nodejs-sdk-v5", "2.15.4", None),
        ("cos-java-sdk-v5.6.269/Mac OS X/jdk-17/x", "cos-java-sdk-v5", "5.6.269", "macOS"),
        ("cos-java-sdk-v5", "cos-java-sdk-v5", None, None),
        ("cos-android-sdk-5.9.51", "cos-android-sdk", "5.9.51", None),
        ("cos-android-quic-sdk-5.9.51", "cos-android-quic-sdk", "5.9.51", None),
        ("cos-android-sdk-5.9.51-MyApp", "cos-android-sdk", "5.9.51", None),
        ("cos-harmony-sdk-v1.1.5", "cos-harmony-sdk", "1.1.5", None),
        ("cos-kotlin-sdk-2.0", "cos-kotlin-sdk", "2.0", None),
        ("cos-rust-sdk/0.3.1", "cos-rust-sdk", "0.3.1", None),
        ("cos-rust-sdk", "cos-rust-sdk", None, None),
        ("cos-rust-sdk-v5.1.0.2", "cos-rust-sdk-v5", "1.0.2", None),
        ("cos-rust-sdk-v5-2.15.4", "cos-rust-sdk-v5", "2.15.4", None),
        ("cos-some-thing-sdk-v5.6.2", "cos-some-thing-sdk", "5.6.2", None),
        ("cos-php-sdk-v4.3.2", "cos-php-sdk", "4.3.2", None),
        ("aiobotocore/2.13.0 md/Botocore#1.34 os/linux#6.1", "aiobotocore", "2.13.0", "Linux"),
        ("cos-base-android-sdk-5.9.51", "cos-base-android-sdk", "5.9.51", None),
        ("cos-xml-ios-sdk-v6.5.5", "cos-xml-ios-sdk-v6", "6.5.5", None),
        ("cos-cpp-sdk-v5.5.22", "cos-cpp-sdk-v5", "5.5.22", None),
        ("cos-sdk-c/5.0.18", "cos-sdk-c", "5.0.18", None),
        ("coscmd-v1.8.6.21", "coscmd", "1.8.6.21", None),
        ("coscli-v1.0.6", "coscli", "1.0.6", None),
        ("tencentyun-cosfs-v5-1.0.24", "cosfs", "1.0.24", None),
        ("tencentyun-cosfs-v5-my_app-1.0.24", "cosfs", "1.0.24", None),
        ("Boto3/1.44.5 md/Botocore#1.44.5 os/linux#6.1", "boto3", "1.44.5", "Linux"),
        ("Boto3/1.17.0 Python/3.8.0 Darwin/20 Botocore/1.20.0", "boto3", "1.17.0", "macOS"),
        ("Botocore/1.34.0", "botocore", "1.34.0", None),
        ("aws-cli/2.15.30 Python/3.11 Windows/10", "aws-cli", "2.15.30", "Windows"),
        ("aws-sdk-go-v2/1.24.0 os/linux lang/go#1.21", "aws-sdk-go-v2", "1.24.0", "Linux"),
        ("rclone/v1.65.2", "rclone", "1.65.2", None),
        ("MinIO (linux; amd64) minio-go/v7.0.66 mc/RELEASE.1", "minio-mc", "RELEASE.1", "Linux"),
        ("curl/7.19.7 (x86_64-redhat-linux-gnu) libcurl/7", "curl", "7.19.7", None),
        ("python-requests/2.34.2", "python-requests", "2.34.2", None),
        ("okhttp/4.12.0", "okhttp", "4.12.0", None),
        (f"Mozilla/5.0 (Windows NT 10.0) {CHROME} Safari/537.36", "Chrome", "120.0.0.0", "Windows"),
        (f"Mozilla/5.0 (Linux; Android 13; X) {CHROME} Mobile", "Chrome", "120.0.0.0", "Android"),
        (f"Mozilla/5.0 (X11; CrOS x86_64 1) {CHROME}", "Chrome", "120.0.0.0", "ChromeOS"),
        (f"Mozilla/5.0 (Macintosh; X) {CHROME} Edg/120.1", "Edge", "120.1", "macOS"),
        ("Mozilla/5.0 (iPhone; X) MicroMessenger/8.0.45(0x1)", "WeChat", "8.0.45", "iOS"),
        ("my-backup/3.2 (host)", "my-backup", "3.2", None),
    ],
)
def test_names_and_versions(
    user_agent: str, name: str, version: str | None, platform: str | None
) -> None:
    client = read_client(user_agent)
    assert client is not None
    assert (client.name, client.version, client.platform) == (name, version, platform)


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        ("cos-android-sdk-5.9.51", True),
        ("cos-xml-ios-sdk-v6.5.5", True),
        (f"Mozilla/5.0 (X11; Linux x86_64) {CHROME}", True),
        ("Dalvik/2.1.0 (Linux; U; Android 13; Pixel)", True),
        ("cos-python-sdk-v5.1.9.44", False),
        ("okhttp/4.12.0", False),
        ("cos-harmony-sdk-v1.1.5", True),
        ("cos-kotlin-sdk-2.0", False),
        ("Mozilla/5.0 (Windows NT 10.0) cosbrowser/2.11.0 Chrome/108 Electron/22", False),
        ("Mozilla/5.0 (Windows NT 10.0) PicGo/2.3.1 Chrome/108.0.0.0 Electron/22.0.0", False),
        ("Cyberduck/8.7.1 (Mac OS X/14.2)", False),
    ],
)
def test_what_runs_in_its_users_hands(user_agent: str, device: bool) -> None:
    client = read_client(user_agent)
    assert client is not None
    assert client.mobile_or_browser is device


@pytest.mark.parametrize(
    ("user_agent", "name", "version", "wrapper"),
    [
        ("cos-android-sdk-5.9.51-FlutterPlugin", "cos-android-sdk", "5.9.51", "FlutterPlugin"),
        (
            "cos-android-sdk-5.9.51-ReactNativePlugin",
            "cos-android-sdk",
            "5.9.51",
            "ReactNativePlugin",
        ),
        ("cos-xml-ios-sdk-v6.5.5-FlutterPlugin", "cos-xml-ios-sdk-v6", "6.5.5", "FlutterPlugin"),
        ("cos-android-sdk-5.9.51", "cos-android-sdk", "5.9.51", None),
        ("cos-android-sdk-5.9.51-SomePlugin", "cos-android-sdk", "5.9.51", None),
        ("cos-go-sdk-v5/0.7.75-FlutterPlugin", "cos-go-sdk-v5", "0.7.75-FlutterPlugin", None),
    ],
)
def test_wrappers(user_agent: str, name: str, version: str, wrapper: str | None) -> None:
    client = read_client(user_agent)
    assert client is not None
    assert (client.name, client.version, client.wrapper) == (name, version, wrapper)


MINI_PROGRAM = "https://servicewechat.com/wx0123456789abcdef/12/page-frame.html"


@pytest.mark.parametrize(
    ("user_agent", "referer", "name", "platform"),
    [
        (None, MINI_PROGRAM, "WeChat mini-program", None),
        ("Dalvik/2.1.0 (Linux; U; Android 13; X)", MINI_PROGRAM, "WeChat mini-program", "Android"),
        (f"Mozilla/5.0 (iPhone; X) {CHROME}", MINI_PROGRAM, "WeChat mini-program", "iOS"),
        (f"Mozilla/5.0 (iPhone; X) {CHROME}", "https://example.com/", "Chrome", "iOS"),
        (
            f"Mozilla/5.0 (iPhone; X) {CHROME}",
            "https://servicewechat.com.example/",
            "Chrome",
            "iOS",
        ),
        ("curl/8.1", "http://servicewechat.com/x", "curl", None),
    ],
)
def test_mini_programs_by_their_referer(
    user_agent: str | None, referer: str, name: str, platform: str | None
) -> None:
    client = read_client(user_agent, referer)
    assert client is not None
    assert (client.name, client.platform) == (name, platform)
    assert client.mobile_or_browser is (name != "curl")


@pytest.mark.parametrize("user_agent", [None, "", "   ", "()", "中文"])
def test_nobody(user_agent: str | None) -> None:
    assert read_client(user_agent) is None


@given(st.text() | st.text("cos-sdkv5./ (;)Mozilla0").map("Mozilla/5.0 (".__add__))
def test_reads_anything(user_agent: str) -> None:
    client = read_client(user_agent)
    assert client is None or (client.name and len(client.platform or "") <= 40)
