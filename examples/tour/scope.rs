//! Idea: goroutines that work on the variables of the enclosing function.
//!
//! In Go a goroutine may read and change any variable of the block it is written in. `gort::scope` gives that with a
//! guarantee: goroutines started on `s` may borrow from the caller's frame, because the scope returns only when they
//! have all ended. Two of them may not both change one variable; each here gets its own part of the array.

pub(crate) fn run() {
    let words = ["goroutines", "share", "memory"];
    let mut lengths = [0; 3];

    gort::scope(|s| {
        for (word, length) in words.iter().zip(&mut lengths) {
            s.go(move || *length = word.len());
        }
    });

    // All ended: the borrows are over, and plain reads are fine.
    for (word, length) in words.iter().zip(lengths) {
        println!("{word} has {length} letters");
    }
}
