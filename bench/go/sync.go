package main

// Locks and WaitGroup.

import (
	"sync"
	"sync/atomic"
)

func mutexUncontended(n int) sample {
	var mu sync.Mutex
	count := 0
	m := start()
	for range n {
		mu.Lock()
		count++
		mu.Unlock()
	}
	s := m.stop(n)
	check(count == n, "locks")
	return s
}

func mutexContended(n int) sample {
	m := start()
	var mu sync.Mutex
	var wg sync.WaitGroup
	count := 0
	for i := range lockers {
		wg.Add(1)
		go func() {
			for range share(n, lockers, i) {
				mu.Lock()
				count++
				mu.Unlock()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	s := m.stop(n)
	check(count == n, "locks")
	return s
}

func rwmutexRead(n int) sample {
	m := start()
	var mu sync.RWMutex
	var wg sync.WaitGroup
	var reads atomic.Int64
	writes := 0
	for i := range lockers {
		wg.Add(1)
		go func() {
			seen, ok := 0, 0
			for j := range share(n, lockers, i) {
				if j%writeEvery == 0 {
					mu.Lock()
					writes++
					mu.Unlock()
					continue
				}
				mu.RLock()
				if writes >= seen {
					ok++
				}
				seen = writes
				mu.RUnlock()
			}
			reads.Add(int64(ok))
			wg.Done()
		}()
	}
	wg.Wait()
	s := m.stop(n)
	check(writes+int(reads.Load()) == n, "locks")
	return s
}

func waitgroupFanout(n int) sample {
	m := start()
	var ran atomic.Int64
	for left := n; left > 0; left -= batch {
		var gate, done sync.WaitGroup
		gate.Add(1)
		for range min(left, batch) {
			done.Add(1)
			go func() {
				gate.Wait()
				ran.Add(1)
				done.Done()
			}()
		}
		gate.Done()
		done.Wait()
	}
	s := m.stop(n)
	check(ran.Load() == int64(n), "tasks")
	return s
}
