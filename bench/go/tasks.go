package main

// Spawning, yielding, parking.

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

func yield2(n int) sample {
	m := start()
	var wg sync.WaitGroup
	var done atomic.Int64
	for i := range 2 {
		wg.Add(1)
		go func() {
			for range share(n, 2, i) {
				runtime.Gosched()
			}
			done.Add(int64(share(n, 2, i)))
			wg.Done()
		}()
	}
	wg.Wait()
	s := m.stop(n)
	check(done.Load() == int64(n), "yields")
	return s
}

func spawnJoin(n int) sample {
	m := start()
	var ran atomic.Int64
	for left := n; left > 0; left -= batch {
		var wg sync.WaitGroup
		for range min(left, batch) {
			wg.Add(1)
			go func() {
				ran.Add(1)
				wg.Done()
			}()
		}
		wg.Wait()
	}
	s := m.stop(n)
	check(ran.Load() == int64(n), "tasks")
	return s
}

func spawnChain(n int) sample {
	m := start()
	end := make(chan int)
	go link(n, 1, end)
	length := <-end
	s := m.stop(n)
	check(length == n, "links")
	return s
}

func link(n, i int, end chan<- int) {
	if i == n {
		end <- i
		return
	}
	go link(n, i+1, end)
}

func parked(n int) sample {
	m := start()
	gate := make(chan struct{})
	var started, returned sync.WaitGroup
	var closed atomic.Int64
	started.Add(n)
	returned.Add(n)
	for range n {
		go func() {
			started.Done()
			if _, ok := <-gate; !ok {
				closed.Add(1)
			}
			returned.Done()
		}()
	}
	started.Wait()
	s := m.stop(n)
	create := m.ns()
	time.Sleep(100 * time.Millisecond)
	bytes := residentBytes()
	m = start()
	close(gate)
	returned.Wait()
	wake := m.ns()
	check(closed.Load() == int64(n), "tasks woken by close")
	k := float64(n)
	return s.and("bytes", bytes/k).and("create_ns", create/k).and("wake_ns", wake/k)
}
