//! Pages in SQLite, by one goroutine that owns the connection.
//!
//! Many goroutines could share a connection behind a mutex, but SQLite lets only one write at a time in any case, and
//! what costs is the commit, not the row. So pages go through a channel to one [`Writer`], which takes whatever has
//! come while the last commit went on, and commits it as one: the slower the disk, the larger the bites.
//!
//! A commit blocks the thread until the disk has it. `gort::blocking` says so beforehand, and the processor goes to
//! others at once; without it the runtime would find out by itself, some milliseconds later.

use std::io;
use std::path::Path;

use gort::channel::{Receiver, Sender};
use gort::{JoinHandle, blocking};
use rusqlite::{Connection, params};

use super::Page;

/// The most pages of one commit.
const BITE: usize = 256;

/// A database with the tables `pages` and `links`.
#[derive(Debug)]
pub struct Store(Connection);

impl Store {
    /// Opens the file, and empties the tables if there are any.
    pub fn open(path: &Path) -> io::Result<Store> {
        blocking(|| Connection::open(path).and_then(Store::prepare)).map_err(io::Error::other)
    }

    /// One in memory.
    pub fn in_memory() -> io::Result<Store> {
        Connection::open_in_memory().and_then(Store::prepare).map_err(io::Error::other)
    }

    fn prepare(connection: Connection) -> rusqlite::Result<Store> {
        connection.execute_batch(
            "DROP TABLE IF EXISTS links; DROP TABLE IF EXISTS pages;
             CREATE TABLE pages (url TEXT PRIMARY KEY, status INTEGER NOT NULL, size INTEGER NOT NULL);
             CREATE TABLE links (page TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (page, target));",
        )?;
        Ok(Store(connection))
    }

    /// Stores them, all or none.
    pub fn put_all(&mut self, pages: &[Page]) -> io::Result<()> {
        blocking(|| self.insert(pages)).map_err(io::Error::other)
    }

    fn insert(&mut self, pages: &[Page]) -> rusqlite::Result<()> {
        let transaction = self.0.transaction()?;
        {
            let mut page_row = transaction.prepare_cached("INSERT INTO pages VALUES (?1, ?2, ?3)")?;
            let mut link_row = transaction.prepare_cached("INSERT INTO links VALUES (?1, ?2)")?;
            for page in pages {
                page_row.execute(params![page.url, page.status, page.size as i64])?;
                for link in &page.links {
                    link_row.execute(params![page.url, link])?;
                }
            }
        }
        transaction.commit()
    }
}

/// Everything in the file, in order, a line for each page and each link.
pub fn lines_of(path: &Path) -> io::Result<Vec<String>> {
    let read = || -> rusqlite::Result<Vec<String>> {
        let connection = Connection::open(path)?;
        let mut rows = connection.prepare(
            "SELECT url || ' ' || status || ' ' || size FROM pages
             UNION ALL SELECT page || ' -> ' || target FROM links ORDER BY 1",
        )?;
        rows.query_map([], |row| row.get(0))?.collect()
    };
    blocking(read).map_err(io::Error::other)
}

/// The goroutine that writes.
#[derive(Debug)]
pub struct Writer {
    pages: Sender<Page>,
    writing: JoinHandle<io::Result<()>>,
}

impl Writer {
    /// Up to `queue` pages wait for it; then who brings more waits.
    pub fn start(store: Store, queue: usize) -> Writer {
        let (pages, to_store) = gort::chan(queue);
        Writer { pages, writing: gort::go(move || write(store, &to_store)) }
    }

    /// Hands over a page. False: the writer has stopped, and [`finish`](Writer::finish) tells why.
    #[must_use]
    pub fn put(&self, page: Page) -> bool {
        self.pages.send(page).is_ok()
    }

    /// Waits until everything is stored.
    pub fn finish(self) -> io::Result<()> {
        drop(self.pages);
        self.writing.join().unwrap_or_else(|_| Err(io::Error::other("the writer panicked")))
    }
}

fn write(mut store: Store, pages: &Receiver<Page>) -> io::Result<()> {
    while let Ok(page) = pages.recv() {
        let bite: Vec<Page> = std::iter::once(page).chain(pages.try_iter()).take(BITE).collect();
        store.put_all(&bite)?;
    }
    Ok(())
}
