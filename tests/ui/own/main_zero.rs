//! At least one thread runs goroutines, and a stack has a size.

mod no_processor {
    #[gort::main(unsafe(migrate), maxprocs = 0)]
    fn main() {}
}

#[gort::main(unsafe(migrate), main_stack = 0usize)]
fn main() {}
