//! Reading and writing real files.

use slimfit_document::{Document, MAXIMUM_BYTES, create_directory, stream_atomically, write_atomically};
use std::fs;

#[test]
fn reading_says_what_is_wrong_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("space.yaml");
    let code = |name: &str| Document::read(folder.path().join(name)).unwrap_err();
    fs::write(&path, "a: 1\n").unwrap();
    assert_eq!(Document::read(&path).unwrap().keys(""), ["a"]);
    let missing = code("spaec.yaml");
    assert_eq!(missing.code, "file-missing");
    assert_eq!(missing.hint.as_deref(), Some("did you mean `space.yaml`?"));
    assert!(code("none/at-all.yaml").hint.as_deref().unwrap().contains("folder"));
    assert_eq!(code("").code, "file-unreadable");
    fs::write(folder.path().join("latin.yaml"), b"a: 1\nb\xe4: 2\n").unwrap();
    let latin = code("latin.yaml");
    assert_eq!((latin.code.as_str(), latin.line, latin.column), ("not-utf8", Some(2), Some(2)));
    let large = fs::File::create(folder.path().join("large.yaml")).unwrap();
    large.set_len(MAXIMUM_BYTES + 1).unwrap();
    assert_eq!(code("large.yaml").code, "file-too-large");
}

#[test]
fn writing_replaces_the_whole_file_and_leaves_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/file.yaml");
    write_atomically(&path, b"one").unwrap();
    write_atomically(&path, b"two").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("file"), folder.path().join("link"));
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&path, &link).unwrap();
    write_atomically(&link, b"new").unwrap();
    assert!(link.is_symlink());
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_folder_or_a_file_in_the_way_is_an_error_and_keeps_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "kept").unwrap();
    assert_eq!(write_atomically(folder.path(), b"x").unwrap_err().code, "write-failed");
    let below = write_atomically(file.join("below"), b"x").unwrap_err();
    assert_eq!(below.code, "write-failed");
    assert_eq!(create_directory(&file).unwrap_err().code, "write-failed");
    assert_eq!(fs::read(&file).unwrap(), b"kept");
}

#[test]
fn a_stream_that_fails_half_way_keeps_the_old_file_and_leaves_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let line = [b'x'; 4096];
    stream_atomically(&path, |writer| (0..300).try_for_each(|_| writer.write_all(&line))).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 300 * 4096);
    let error = stream_atomically(&path, |writer| {
        (0..300).try_for_each(|_| writer.write_all(b"half"))?;
        Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
    });
    assert_eq!(error.unwrap_err().code, "disk-full");
    assert_eq!(fs::metadata(&path).unwrap().len(), 300 * 4096);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    let error = write_atomically("/dev/full", b"x").unwrap_err();
    assert_eq!(error.code, "disk-full", "{error}");
    let error = stream_atomically("/dev/full", |writer| writer.write_all(b"less than a buffer")).unwrap_err();
    assert_eq!(error.code, "disk-full", "{error}");
}
