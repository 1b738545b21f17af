//! Options have fixed names, and each is given once, with a value.

mod unknown {
    #[gort::main(unsafe(migrate), worker_threads = 4)]
    fn main() {}
}

mod literal {
    #[gort::main("migrate")]
    fn main() {}
}

mod twice {
    #[gort::main(unsafe(migrate), maxprocs = 1, maxprocs = 2)]
    fn main() {}
}

mod without_value {
    #[gort::main(unsafe(migrate), maxprocs)]
    fn main() {}
}

mod crate_as_string {
    #[gort::main(unsafe(migrate), crate = "other::gort")]
    fn main() {}
}

#[gort::main(unsafe(migrate) maxprocs = 2)]
fn main() {}
