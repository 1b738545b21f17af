package main

// Select.

import (
	"sync"
	"sync/atomic"
)

// sources are k senders, each on an unbuffered channel of its own.
func sources(n, k int) []chan int {
	cs := make([]chan int, k)
	for i := range cs {
		c := make(chan int)
		cs[i] = c
		go func() {
			for j := range share(n, k, i) {
				c <- j
			}
		}()
	}
	return cs
}

func wantOf(n, k int) int {
	want := 0
	for i := range k {
		want += sumBelow(share(n, k, i))
	}
	return want
}

func select2(n int) sample {
	m := start()
	c := sources(n, 2)
	a, b := c[0], c[1]
	sum := 0
	for range n {
		select {
		case v := <-a:
			sum += v
		case v := <-b:
			sum += v
		}
	}
	s := m.stop(n)
	check(sum == wantOf(n, 2), "messages")
	return s
}

func select8(n int) sample {
	m := start()
	c := sources(n, 8)
	c0, c1, c2, c3, c4, c5, c6, c7 := c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
	sum := 0
	for range n {
		select {
		case v := <-c0:
			sum += v
		case v := <-c1:
			sum += v
		case v := <-c2:
			sum += v
		case v := <-c3:
			sum += v
		case v := <-c4:
			sum += v
		case v := <-c5:
			sum += v
		case v := <-c6:
			sum += v
		case v := <-c7:
			sum += v
		}
	}
	s := m.stop(n)
	check(sum == wantOf(n, 8), "messages")
	return s
}

func selectDefault(n int) sample {
	c := make(chan int, 1)
	empty := 0
	m := start()
	for range n {
		select {
		case <-c:
			panic("a value out of nowhere")
		default:
			empty++
		}
	}
	s := m.stop(n)
	check(empty == n, "polls")
	return s
}

// selectDone: many workers, each selecting over the common work channel and
// one done channel that all of them share and that is closed in the end.
func selectDone(n int) sample {
	work, done := make(chan int), make(chan struct{})
	var ready, wg sync.WaitGroup
	var sum, ended atomic.Int64
	ready.Add(watchers)
	wg.Add(watchers)
	for range watchers {
		go func() {
			ready.Done()
			for {
				select {
				case v := <-work:
					sum.Add(int64(v))
				case <-done:
					ended.Add(1)
					wg.Done()
					return
				}
			}
		}()
	}
	ready.Wait()
	m := start()
	for i := range n {
		work <- i
	}
	close(done)
	wg.Wait()
	s := m.stop(n)
	check(ended.Load() == watchers && sum.Load() == int64(sumBelow(n)), "messages")
	return s
}
