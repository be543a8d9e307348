//! Files that are good and bad by turns, away for a moment, and swapped as a kubelet does.

use std::sync::{Mutex, mpsc};

use super::*;

fn number(contents: &Contents) -> Result<u32, std::num::ParseIntError> {
    String::from_utf8_lossy(&contents[0]).trim().parse()
}

fn file(text: &str) -> io::Result<Contents> {
    Ok(vec![text.as_bytes().to_vec()])
}

/// Files of this text, and a hand on what is read of them.
fn start(text: &str) -> (Followed<Contents>, Arc<Mutex<io::Result<Contents>>>) {
    let now = Arc::new(Mutex::new(file(text)));
    let read = {
        let now = Arc::clone(&now);
        move || match &*now.lock().unwrap() {
            Ok(contents) => Ok(contents.clone()),
            Err(error) => Err(error.kind().into()),
        }
    };
    (Followed::new(read, file(text).unwrap()), now)
}

/// What a look says, in a word.
async fn look(files: &mut Followed<Contents>) -> String {
    match files.look(async |contents| number(&contents)).await {
        Change::None => "nothing".to_owned(),
        Change::Published(number) => number.to_string(),
        Change::Refused(error) => error.to_string(),
        Change::Restored => "restored".to_owned(),
    }
}

const BAD: &str = "invalid digit found in string";

#[tokio::test(start_paused = true)]
async fn a_new_good_file_is_published_once() {
    let (mut files, now) = start("1");
    assert_eq!(look(&mut files).await, "nothing");
    *now.lock().unwrap() = file("2");
    assert_eq!(look(&mut files).await, "2");
    assert_eq!(look(&mut files).await, "nothing");
}

#[tokio::test(start_paused = true)]
async fn a_bad_file_is_refused_once_per_reason_and_never_published() {
    let (mut files, now) = start("1");
    let empty = "cannot parse integer from empty string";
    for (text, said) in [
        ("x", BAD),
        ("x", "nothing"),
        ("y", "nothing"),
        ("", empty),
        ("3", "3"),
        ("x", BAD),
    ] {
        *now.lock().unwrap() = file(text);
        assert_eq!(look(&mut files).await, said, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_comes_back_as_it_was_is_said_to() {
    let (mut files, now) = start("1");
    *now.lock().unwrap() = Err(io::ErrorKind::NotFound.into());
    assert_eq!(look(&mut files).await, "entity not found");
    assert_eq!(look(&mut files).await, "nothing");
    *now.lock().unwrap() = file("1");
    assert_eq!(look(&mut files).await, "restored");
    assert_eq!(look(&mut files).await, "nothing");
}

#[tokio::test(start_paused = true)]
async fn whoever_wants_to_know_is_told_again() {
    let (mut files, now) = start("1");
    files.tell();
    assert_eq!(look(&mut files).await, "nothing");
    *now.lock().unwrap() = file("x");
    assert_eq!(look(&mut files).await, BAD);
    assert_eq!(look(&mut files).await, "nothing");
    files.tell();
    assert_eq!(look(&mut files).await, BAD);
    *now.lock().unwrap() = file("1");
    files.tell();
    assert_eq!(look(&mut files).await, "restored");
}

#[tokio::test(start_paused = true)]
async fn what_may_have_become_good_is_tried_again_and_refused_once() {
    let (mut files, now) = start("1");
    *now.lock().unwrap() = file("2");
    let away = async |_| Err::<u32, _>("x".parse::<u32>().unwrap_err());
    assert!(matches!(files.look(away).await, Change::Refused(_)));
    assert_eq!(look(&mut files).await, "nothing");
    files.retry();
    assert!(matches!(files.look(away).await, Change::None));
    files.retry();
    assert_eq!(look(&mut files).await, "2");
}

/// It is looked at while it is written or moved, many times in a row.
#[tokio::test(start_paused = true)]
async fn a_file_that_is_away_or_half_written_for_a_moment_is_no_news() {
    let (mut files, now) = start("1");
    let away = || Err(io::ErrorKind::NotFound.into());
    for (moments, said) in [
        (vec![away(), file("1")], "nothing"),
        (vec![file("x"), away(), file(""), file("1")], "nothing"),
        (vec![away(), file("2"), away(), file("23")], "23"),
        (vec![away()], "entity not found"),
        (vec![file("x"), file("23")], "restored"),
    ] {
        let hand = Arc::clone(&now);
        let write = tokio::spawn(async move {
            for moment in moments {
                *hand.lock().unwrap() = moment;
                tokio::time::sleep(SETTLE * 9 / 10).await;
            }
        });
        tokio::task::yield_now().await;
        assert_eq!(look(&mut files).await, said);
        write.await.unwrap();
    }
}

/// kubelet swaps `..data` to a new directory; the path stays the same.
#[tokio::test]
async fn the_symlink_swap_of_a_config_map_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (version, text) in [("v1", "1"), ("v2", "2")] {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::write(at(version).join("config.yaml"), text).unwrap();
    }
    std::os::unix::fs::symlink("v1", at("..data")).unwrap();
    std::os::unix::fs::symlink("..data/config.yaml", at("config.yaml")).unwrap();
    let paths = vec![at("config.yaml")];
    let seen = read(&paths).unwrap();
    let (sender, receiver) = mpsc::channel();
    let publish = move |value| sender.send(value).unwrap();
    let follow = follow(
        "rules",
        paths,
        Duration::from_millis(1),
        seen,
        number,
        publish,
    );
    let task = tokio::spawn(follow);
    std::os::unix::fs::symlink("v2", at("..data_tmp")).unwrap();
    std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    let wait = move || receiver.recv_timeout(Duration::from_secs(10));
    let value = tokio::task::spawn_blocking(wait).await.unwrap();
    assert_eq!(value, Ok(2));
    task.abort();
}

#[test]
fn an_unreadable_file_is_named() {
    let error = read(&[PathBuf::from("/nonexistent/rules.yaml")]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("open /nonexistent/rules.yaml: "),
        "{error}"
    );
}
