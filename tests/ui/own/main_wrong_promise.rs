//! There is one promise only, and it is made once.

mod other {
    #[gort::main(unsafe(stay))]
    fn main() {}
}

mod bare {
    #[gort::main(unsafe)]
    fn main() {}
}

mod two_words {
    #[gort::main(unsafe(migrate, stay))]
    fn main() {}
}

#[gort::main(unsafe(migrate), unsafe(migrate))]
fn main() {}
