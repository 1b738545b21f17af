package main

// Small whole programs.

import (
	"slices"
	"sync"
)

func skynet(n int) sample {
	leaves := 1
	for leaves*10 <= n {
		leaves *= 10
	}
	m := start()
	c := make(chan int)
	go node(c, 0, leaves)
	sum := <-c
	s := m.stop(leaves)
	check(sum == sumBelow(leaves), "leaves")
	return s
}

func node(up chan<- int, first, leaves int) {
	if leaves == 1 {
		up <- first
		return
	}
	c := make(chan int)
	for i := range 10 {
		go node(c, first+i*(leaves/10), leaves/10)
	}
	sum := 0
	for range 10 {
		sum += <-c
	}
	up <- sum
}

// sieve counts one operation for each message through any of its channels.
func sieve(primes int) sample {
	last, messages := sievePlan(primes)
	m := start()
	c := make(chan int)
	go func() {
		for i := 2; i <= last; i++ {
			c <- i
		}
		close(c)
	}()
	found, prime := 0, 0
	in := c
	for range primes {
		prime = <-in
		found++
		out := make(chan int)
		go filter(prime, in, out)
		in = out
	}
	_, open := <-in
	s := m.stop(messages)
	check(found == primes && prime == last && !open, "primes")
	return s
}

func filter(prime int, in <-chan int, out chan<- int) {
	for i := range in {
		if i%prime != 0 {
			out <- i
		}
	}
	close(out)
}

func sievePlan(primes int) (last, messages int) {
	var found []int
	number := 1
	for len(found) < primes {
		number++
		factor := slices.IndexFunc(found, func(p int) bool { return number%p == 0 })
		if factor < 0 {
			found = append(found, number)
			factor = len(found) - 1
		}
		messages += factor + 1
	}
	return number, messages
}

const (
	fibCutoff = 12
	fibTop    = 27
)

func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func fibTasks(n int) int {
	if n < fibCutoff {
		return 0
	}
	return 2 + fibTasks(n-1) + fibTasks(n-2)
}

func forkjoinFib(n int) sample {
	tasks := fibTasks(fibTop)
	rounds := max(n/tasks, 1)
	want := fib(fibTop)
	m := start()
	sum := 0
	for range rounds {
		sum += fork(fibTop)
	}
	s := m.stop(rounds * tasks)
	check(sum == rounds*want, "the sum")
	return s
}

func fork(n int) int {
	if n < fibCutoff {
		return fib(n)
	}
	var a, b int
	var wg sync.WaitGroup
	wg.Add(2)
	go func() {
		a = fork(n - 1)
		wg.Done()
	}()
	go func() {
		b = fork(n - 2)
		wg.Done()
	}()
	wg.Wait()
	return a + b
}

const sortCutoff = 16_384

func parallelSort(n int) sample {
	data, spare := make([]uint64, n), make([]uint64, n)
	var sum, after uint64
	for i := range data {
		data[i] = mixed(uint64(i))
		sum += data[i]
	}
	m := start()
	sortParallel(data, spare)
	s := m.stop(n)
	for _, v := range data {
		after += v
	}
	check(slices.IsSorted(data) && after == sum, "the sort")
	return s
}

func sortParallel(data, spare []uint64) {
	if len(data) <= sortCutoff {
		mergeSort(data, spare)
		return
	}
	middle := len(data) / 2
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		sortParallel(data[:middle], spare[:middle])
		wg.Done()
	}()
	sortParallel(data[middle:], spare[middle:])
	wg.Wait()
	merge(data, spare, middle)
}

func mergeSort(data, spare []uint64) {
	if len(data) <= 16 {
		insertionSort(data)
		return
	}
	middle := len(data) / 2
	mergeSort(data[:middle], spare[:middle])
	mergeSort(data[middle:], spare[middle:])
	merge(data, spare, middle)
}

func merge(data, spare []uint64, middle int) {
	i, j := 0, middle
	for k := range spare {
		if j >= len(data) || (i < middle && data[i] <= data[j]) {
			spare[k] = data[i]
			i++
		} else {
			spare[k] = data[j]
			j++
		}
	}
	copy(data, spare)
}

func insertionSort(data []uint64) {
	for i := 1; i < len(data); i++ {
		value := data[i]
		j := i
		for j > 0 && data[j-1] > value {
			data[j] = data[j-1]
			j--
		}
		data[j] = value
	}
}
