//! What a subscriber keeps: the ids of the events that it handled, and the cursor after them.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Fault;

#[derive(Serialize, Deserialize)]
struct Entry {
    cursor: String,
    ids: Vec<String>,
}

/// A line of JSON for each response, added in one write: so effects and cursor are never apart, and
/// the last whole line is the truth. In a database this is one transaction, and `seen` is a unique
/// key on the id.
pub struct Record {
    pub cursor: String,
    pub seen: HashSet<String>,
    file: File,
}

impl Record {
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let mut text = fs::read(path)?;
        // A line without an end was cut off by a crash: what it says comes again.
        text.truncate(
            text.iter()
                .rposition(|it| *it == b'\n')
                .map_or(0, |end| end + 1),
        );
        file.set_len(text.len() as u64)?;
        let mut record = Self {
            cursor: String::new(),
            seen: HashSet::new(),
            file,
        };
        for line in text.split(|it| *it == b'\n').filter(|it| !it.is_empty()) {
            record.take(serde_json::from_slice(line)?);
        }
        Ok(record)
    }

    /// Keep the ids that are new, in their order, and the cursor, and have them on disk.
    pub fn add(&mut self, ids: Vec<String>, cursor: String) -> Result<(), Fault> {
        let mut fresh = HashSet::new();
        let ids: Vec<String> = ids
            .into_iter()
            .filter(|it| !self.seen.contains(it) && fresh.insert(it.clone()))
            .collect();
        if ids.is_empty() && cursor == self.cursor {
            return Ok(());
        }
        let entry = Entry { cursor, ids };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.take(entry);
        Ok(())
    }

    fn take(&mut self, entry: Entry) {
        self.cursor = entry.cursor;
        self.seen.extend(entry.ids);
    }
}
