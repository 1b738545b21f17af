//! Every wrapped function and method of std's, once there and back, beside std's own answer.

use std::collections::BTreeSet;
use std::fs as std_fs;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Result, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, DirEntryExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use gort::fs::{self, DirBuilder, File, FileTimes, OpenOptions, Permissions, ReadDir, TryLockError};

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NTH: AtomicU32 = AtomicU32::new(0);
        let nth = NTH.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gort-fs-calls-{}-{nth}", std::process::id()));
        std_fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file with this text.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        std_fs::write(self.path(name), text).unwrap();
        self.path(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std_fs::remove_dir_all(&self.0).expect("the test leaves its directory");
    }
}

type Call = fn(&Scratch) -> Result<()>;

/// Each function of the room, with what it does and that it did it.
const FUNCTIONS: &[(&str, Call)] = &[
    ("canonicalize", |it| {
        let file = it.file("f", "");
        assert_eq!(fs::canonicalize(it.path("./../").join(&it.0).join("f"))?, std_fs::canonicalize(file)?);
        Ok(())
    }),
    ("copy", |it| {
        assert_eq!(fs::copy(it.file("from", "text"), it.path("to"))?, 4);
        assert_eq!(std_fs::read(it.path("to"))?, b"text");
        Ok(())
    }),
    ("create_dir", |it| {
        fs::create_dir(it.path("d"))?;
        assert!(it.path("d").is_dir());
        Ok(())
    }),
    ("create_dir_all", |it| {
        fs::create_dir_all(it.path("a/b/c"))?;
        assert!(it.path("a/b/c").is_dir());
        Ok(())
    }),
    ("exists", |it| {
        assert!(!fs::exists(it.path("f"))?);
        assert!(fs::exists(it.file("f", ""))?);
        Ok(())
    }),
    ("hard_link", |it| {
        fs::hard_link(it.file("f", ""), it.path("l"))?;
        assert_eq!(std_fs::metadata(it.path("l"))?.nlink(), 2);
        Ok(())
    }),
    ("metadata", |it| {
        let file = it.file("f", "12345");
        assert_eq!(fs::metadata(&file)?.len(), 5);
        assert_eq!(fs::metadata(&file)?.ino(), std_fs::metadata(&file)?.ino());
        Ok(())
    }),
    ("read", |it| {
        assert_eq!(fs::read(it.file("f", "12345"))?, b"12345");
        Ok(())
    }),
    ("read_dir", |it| {
        it.file("one", "");
        it.file("two", "");
        std_fs::create_dir(it.path("three"))?;
        let names: Result<BTreeSet<_>> =
            fs::read_dir(&it.0)?.map(|entry| entry.map(|entry| entry.file_name())).collect();
        assert_eq!(names?, ["one", "two", "three"].map(Into::into).into());
        Ok(())
    }),
    ("read_link", |it| {
        std::os::unix::fs::symlink("anywhere", it.path("l"))?;
        assert_eq!(fs::read_link(it.path("l"))?, Path::new("anywhere"));
        Ok(())
    }),
    ("read_to_string", |it| {
        assert_eq!(fs::read_to_string(it.file("f", "grün"))?, "grün");
        Ok(())
    }),
    ("remove_dir", |it| {
        std_fs::create_dir(it.path("d"))?;
        fs::remove_dir(it.path("d"))?;
        assert!(!it.path("d").exists());
        Ok(())
    }),
    ("remove_dir_all", |it| {
        std_fs::create_dir_all(it.path("a/b/c"))?;
        it.file("a/b/f", "text");
        fs::remove_dir_all(it.path("a"))?;
        assert!(!it.path("a").exists());
        Ok(())
    }),
    ("remove_file", |it| {
        fs::remove_file(it.file("f", ""))?;
        assert!(!it.path("f").exists());
        Ok(())
    }),
    ("rename", |it| {
        fs::rename(it.file("f", "text"), it.path("g"))?;
        assert!(!it.path("f").exists());
        assert_eq!(std_fs::read(it.path("g"))?, b"text");
        Ok(())
    }),
    ("set_permissions", |it| {
        let file = it.file("f", "");
        fs::set_permissions(&file, Permissions::from_mode(0o640))?;
        assert_eq!(std_fs::metadata(&file)?.permissions().mode() & 0o777, 0o640);
        Ok(())
    }),
    ("symlink", |it| {
        fs::symlink(it.file("f", "text"), it.path("l"))?;
        assert_eq!(std_fs::read(it.path("l"))?, b"text");
        Ok(())
    }),
    ("symlink_metadata", |it| {
        std::os::unix::fs::symlink("anywhere", it.path("l"))?;
        assert!(fs::symlink_metadata(it.path("l"))?.is_symlink());
        Ok(())
    }),
    ("write", |it| {
        fs::write(it.path("f"), "old")?;
        fs::write(it.path("f"), b"new")?;
        assert_eq!(std_fs::read(it.path("f"))?, b"new");
        Ok(())
    }),
    ("chown, lchown, fchown", |it| {
        let file = it.file("f", "");
        let mine = std_fs::metadata(&file)?;
        fs::chown(&file, Some(mine.uid()), None)?;
        fs::lchown(&file, None, Some(mine.gid()))?;
        fs::fchown(File::open(&file)?, Some(mine.uid()), Some(mine.gid()))?;
        assert_eq!(
            (std_fs::metadata(&file)?.uid(), std_fs::metadata(&file)?.gid()),
            (mine.uid(), mine.gid())
        );
        Ok(())
    }),
    ("DirBuilder", |it| {
        DirBuilder::new().mode(0o700).create(it.path("d"))?;
        assert_eq!(std_fs::metadata(it.path("d"))?.permissions().mode() & 0o777, 0o700);
        DirBuilder::new().recursive(true).create(it.path("d/e/f"))?;
        assert!(it.path("d/e/f").is_dir());
        Ok(())
    }),
    ("DirEntry", |it| {
        let file = it.file("only", "12345");
        let entry = fs::read_dir(&it.0)?.next().unwrap()?;
        assert_eq!((entry.path(), entry.metadata()?.len()), (file.clone(), 5));
        assert!(entry.file_type()?.is_file());
        assert_eq!(entry.ino(), std_fs::metadata(&file)?.ino());
        let std_s: std_fs::DirEntry = entry.into();
        assert_eq!(gort::fs::DirEntry::from(std_s).file_name(), "only");
        let std_s: std_fs::ReadDir = ReadDir::from(std_fs::read_dir(&it.0)?).into();
        assert_eq!(std_s.count(), 1);
        Ok(())
    }),
];

/// Each way to open a file, and each method of one.
const FILES: &[(&str, Call)] = &[
    ("open, create, create_new", |it| {
        let path = it.path("f");
        assert_eq!(File::open(&path).unwrap_err().kind(), ErrorKind::NotFound);
        File::create_new(&path)?.write_all(b"new")?;
        assert_eq!(File::create_new(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std_fs::read(&path)?, b"new");
        File::create(&path)?;
        assert_eq!(std_fs::read(&path)?, b"");
        Ok(())
    }),
    ("options", |it| {
        let path = it.path("f");
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_CLOEXEC);
        options.open(&path)?.write_all(b"one")?;
        assert_eq!(std_fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        assert!(options.open(&path).is_err());
        File::options().append(true).open(&path)?.write_all(b" two")?;
        assert_eq!(std_fs::read(&path)?, b"one two");
        File::options().read(true).write(true).truncate(true).create(true).open(&path)?;
        assert_eq!(std_fs::read(&path)?, b"");
        let std_s: std_fs::OpenOptions = options.into();
        assert!(OpenOptions::from(std_s).open(&path).is_err());
        Ok(())
    }),
    ("read and write", |it| {
        let mut file =
            File::options().read(true).write(true).create(true).truncate(true).open(it.path("f"))?;
        assert_eq!(file.write(b"one ")?, 4);
        assert_eq!((&file).write_vectored(&[IoSlice::new(b"two "), IoSlice::new(b"three")])?, 9);
        file.flush()?;
        assert_eq!(file.stream_position()?, 13);
        assert_eq!((&file).seek(SeekFrom::End(-5))?, 8);
        let (mut a, mut b) = ([0; 2], [0; 3]);
        assert_eq!(file.read_vectored(&mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)])?, 5);
        assert_eq!((&a, &b), (b"th", b"ree"));
        file.rewind()?;
        let mut four = [0; 4];
        (&file).read_exact(&mut four)?;
        assert_eq!(&four, b"one ");
        assert_eq!(file.read(&mut four)?, 4);
        let mut rest = Vec::new();
        assert_eq!((&file).read_to_end(&mut rest)?, 5);
        assert_eq!(rest, b"three");
        file.rewind()?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        assert_eq!(text, "one two three");
        assert_eq!(file.read_exact(&mut four).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        Ok(())
    }),
    ("read and write at", |it| {
        let file = File::options().read(true).write(true).open(it.file("f", "0123456789"))?;
        file.write_all_at(b"ab", 4)?;
        assert_eq!(file.write_at(b"c", 9)?, 1);
        let mut four = [0; 4];
        file.read_exact_at(&mut four, 3)?;
        assert_eq!(&four, b"3ab6");
        assert_eq!(file.read_at(&mut four, 8)?, 2);
        assert_eq!(&four[..2], b"8c");
        Ok(())
    }),
    ("metadata, set_len, sync, set_permissions, times", |it| {
        let path = it.file("f", "12345");
        let file = File::options().write(true).open(&path)?;
        file.set_len(3)?;
        file.sync_all()?;
        file.sync_data()?;
        assert_eq!(file.metadata()?.len(), 3);
        file.set_permissions(Permissions::from_mode(0o604))?;
        assert_eq!(std_fs::metadata(&path)?.permissions().mode() & 0o777, 0o604);
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        file.set_modified(then)?;
        assert_eq!(std_fs::metadata(&path)?.modified()?, then);
        let later = then + Duration::from_secs(5);
        file.set_times(FileTimes::new().set_accessed(later).set_modified(later))?;
        assert_eq!((file.metadata()?.accessed()?, file.metadata()?.modified()?), (later, later));
        Ok(())
    }),
    ("locks", |it| {
        let path = it.file("f", "");
        let (one, other) = (File::open(&path)?, File::open(&path)?);
        one.lock()?;
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        assert!(matches!(other.try_lock_shared(), Err(TryLockError::WouldBlock)));
        one.unlock()?;
        other.lock_shared()?;
        one.try_lock_shared().unwrap();
        assert!(matches!(one.try_lock(), Err(TryLockError::WouldBlock)));
        other.unlock()?;
        one.try_lock().unwrap();
        Ok(())
    }),
    ("conversions", |it| {
        let path = it.file("f", "0123456789");
        let mut file = File::open(&path)?;
        let mut two = [0; 2];
        file.try_clone()?.read_exact(&mut two)?;
        assert_eq!(file.stream_position()?, 2, "a clone moves the same position");
        assert_eq!(file.as_std().metadata()?.len(), 10);
        assert_eq!(file.as_fd().as_raw_fd(), file.as_raw_fd());
        assert!(format!("{file:?}").contains("File"));
        let std_s: std_fs::File = file.into();
        let owned: OwnedFd = File::from(std_s).into();
        let raw = File::from(owned).into_raw_fd();
        // SAFETY: it was given up just now.
        let mut file = unsafe { File::from_raw_fd(raw) };
        file.read_exact(&mut two)?;
        assert_eq!(&two, b"23");
        let output = gort::process::Command::new("cat").stdin(file).output()?;
        assert_eq!(output.stdout, b"456789");
        Ok(())
    }),
];

fn go_through(calls: &[(&str, Call)]) {
    for (name, call) in calls {
        let scratch = Scratch::new();
        call(&scratch).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[gort::test(unsafe(migrate))]
fn functions_do_what_std_s_do() {
    go_through(FUNCTIONS);
}

#[gort::test(unsafe(migrate))]
fn files_do_what_std_s_do() {
    go_through(FILES);
}

#[test]
fn all_of_it_works_on_plain_threads() {
    go_through(FUNCTIONS);
    go_through(FILES);
}

#[gort::test(unsafe(migrate))]
fn errors_are_std_s() {
    let nowhere = Path::new("/nonexistent/file");
    let kinds = [
        fs::canonicalize(nowhere).unwrap_err(),
        fs::copy(nowhere, "/tmp").unwrap_err(),
        fs::create_dir(nowhere).unwrap_err(),
        fs::hard_link(nowhere, nowhere).unwrap_err(),
        fs::metadata(nowhere).unwrap_err(),
        fs::read(nowhere).unwrap_err(),
        fs::read_dir(nowhere).unwrap_err(),
        fs::read_link(nowhere).unwrap_err(),
        fs::read_to_string(nowhere).unwrap_err(),
        fs::remove_dir(nowhere).unwrap_err(),
        fs::remove_dir_all(nowhere).unwrap_err(),
        fs::remove_file(nowhere).unwrap_err(),
        fs::rename(nowhere, nowhere).unwrap_err(),
        fs::set_permissions(nowhere, Permissions::from_mode(0o600)).unwrap_err(),
        fs::symlink_metadata(nowhere).unwrap_err(),
        fs::write(nowhere, "").unwrap_err(),
    ]
    .map(|error| error.kind());
    assert_eq!(kinds, [ErrorKind::NotFound; 16]);
    assert!(!fs::exists(nowhere).unwrap());
    let not_a_dir = fs::create_dir_all("/dev/null/x").unwrap_err();
    assert_eq!(not_a_dir.kind(), std_fs::create_dir_all("/dev/null/x").unwrap_err().kind());
}

#[gort::test(unsafe(migrate), maxprocs = 1)]
fn others_go_on_while_a_file_keeps_one_waiting() {
    let scratch = Scratch::new();
    let path = scratch.file("f", "");
    let mine = File::open(&path).unwrap();
    mine.lock().unwrap();
    // Waits in the kernel for the lock, as it might for a slow disk.
    let waits = gort::go(move || File::open(&path).unwrap().lock().unwrap());
    for _ in 0..20 {
        gort::sleep(Duration::from_millis(1));
    }
    assert!(!waits.is_finished());
    mine.unlock().unwrap();
    waits.join().unwrap();
}

#[gort::test(unsafe(migrate))]
fn a_hundred_goroutines_write_one_file_and_read_it() {
    let scratch = Scratch::new();
    let file = File::options().read(true).write(true).create_new(true).open(scratch.path("f")).unwrap();
    let sum: u64 = gort::scope(|s| {
        let handles: Vec<_> = (0..100u64)
            .map(|nth| {
                let file = &file;
                s.go(move || {
                    file.write_all_at(&nth.to_le_bytes(), nth * 8).unwrap();
                    let mut back = [0; 8];
                    file.read_exact_at(&mut back, nth * 8).unwrap();
                    u64::from_le_bytes(back)
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).sum()
    });
    assert_eq!((sum, file.metadata().unwrap().len()), (4950, 800));
}
