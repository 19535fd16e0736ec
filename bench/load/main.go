// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command load causes events for the benchmarks and prints the time that each event took in the traced
// program, in nanoseconds.
//
//	load open  -n N -threads T -cpus LIST -path FILE   opens and closes FILE N times in all, flat out; with -names M
//	                                                   it opens FILE.0 to FILE.M-1, which do not exist
//	load exec  -n N -path DIR                          runs DIR/x N times, one after the other
//	load paced -rate R -for D -path DIR                opens DIR/TIME, which does not exist, R times a
//	                                                   second: TIME is the monotonic clock in hex
//	load packets -iface NAME -cpus LIST                sends packets from an interface, as its input says
//	load dns -rate R -for D -port P                    asks a DNS server, which it is itself, R times a second
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("want open, exec, paced, dns or packets")
	}
	fs := flag.NewFlagSet(args[0], flag.ExitOnError)
	count := fs.Int("n", 1_000_000, "how many times")
	threads := fs.Int("threads", 1, "threads that share the work")
	cpus := fs.String("cpus", "", "the CPU of each thread: 0,1; empty: any")
	path := fs.String("path", "", "the file or folder")
	names := fs.Int("names", 0, "how many names to open that do not exist; 0: the file")
	rate := fs.Int("rate", 10_000, "opens or queries a second")
	port := fs.Int("port", 5300, "the DNS server's port")
	iface := fs.String("iface", "", "the interface that packets leave by")
	length := fs.Duration("for", 2*time.Second, "how long")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	pins, err := parseCPUs(*cpus)
	if err != nil {
		return err
	}
	if args[0] == "packets" {
		return sendPackets(*iface, pins, os.Stdin, os.Stdout)
	}
	var perEvent int64
	switch args[0] {
	case "open":
		perEvent, err = open(namesOf(*path, *names), *count, *threads, pins)
	case "exec":
		perEvent, err = exec(*path, *count, pins)
	case "paced":
		perEvent, err = paced(*path, *rate, *length, pins)
	case "dns":
		perEvent, err = queryDNS(*port, *rate, *length, pins)
	default:
		err = fmt.Errorf("there is no load %q: want open, exec, paced, dns or packets", args[0])
	}
	if err != nil {
		return err
	}
	fmt.Println(perEvent)
	return nil
}

func parseCPUs(list string) ([]int, error) {
	if list == "" {
		return nil, nil
	}
	var cpus []int
	for _, text := range strings.Split(list, ",") {
		cpu, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("-cpus: %w", err)
		}
		cpus = append(cpus, cpu)
	}
	return cpus, nil
}

// pin keeps this goroutine on a thread, and the thread on the i-th of the CPUs, if there are any.
func pin(cpus []int, i int) error {
	runtime.LockOSThread()
	if len(cpus) == 0 {
		return nil
	}
	var set unix.CPUSet
	set.Set(cpus[i%len(cpus)])
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to CPU %d: %w", cpus[i%len(cpus)], err)
	}
	return nil
}

// namesOf returns the names of files to open in turn.
func namesOf(path string, n int) []string {
	if n == 0 {
		return []string{path}
	}
	var names []string
	for i := range n {
		names = append(names, path+"."+strconv.Itoa(i))
	}
	return names
}

// open opens the files in turn, and returns the time that a thread needs for each time, by the slowest thread.
func open(paths []string, count, threads int, cpus []int) (int64, error) {
	took := make([]time.Duration, threads)
	errs := make([]error, threads)
	each := count / threads
	var wg sync.WaitGroup
	for i := range threads {
		wg.Go(func() {
			if errs[i] = pin(cpus, i); errs[i] != nil {
				return
			}
			start := time.Now()
			for n := range each {
				fd, err := unix.Open(paths[n%len(paths)], unix.O_RDONLY, 0)
				if err == nil {
					_ = unix.Close(fd)
				} else if len(paths) == 1 || err != unix.ENOENT {
					errs[i] = err
					return
				}
			}
			took[i] = time.Since(start)
		})
	}
	wg.Wait()
	slowest := time.Duration(0)
	for _, d := range took {
		slowest = max(slowest, d)
	}
	return slowest.Nanoseconds() / int64(max(each, 1)), errors.Join(errs...)
}

func exec(dir string, count int, cpus []int) (int64, error) {
	path := dir + "/x" // no other command line contains the whole name
	if err := pin(cpus, 0); err != nil {
		return 0, err
	}
	start := time.Now()
	for range count {
		pid, err := syscall.ForkExec(path, []string{path}, &syscall.ProcAttr{})
		if err != nil {
			return 0, err
		}
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
			return 0, err
		}
	}
	return time.Since(start).Nanoseconds() / int64(count), nil
}

// paced keeps the rate by looking at the clock: a sleep would be too coarse. It gives the CPU away
// while it waits longer than a tenth of a millisecond. The result is the cost of an open alone.
func paced(dir string, rate int, length time.Duration, cpus []int) (int64, error) {
	if err := pin(cpus, 0); err != nil {
		return 0, err
	}
	gap := int64(time.Second) / int64(rate)
	start := monotonic()
	var spent, n int64
	for next := start; next < start+int64(length); next += gap {
		now := monotonic()
		for ; now < next; now = monotonic() {
			if next-now > int64(100*time.Microsecond) {
				time.Sleep(50 * time.Microsecond)
			}
		}
		// A failing call returns before any tool can have reported it.
		if _, err := unix.Open(dir+"/"+strconv.FormatInt(now, 16), unix.O_RDONLY, 0); !errors.Is(err, unix.ENOENT) {
			return 0, fmt.Errorf("open of a name that is not there: %w", err)
		}
		spent += monotonic() - now
		n++
	}
	return spent / max(n, 1), nil
}

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
