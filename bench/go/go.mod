module gort-bench

go 1.27
