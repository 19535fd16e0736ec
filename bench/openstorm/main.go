// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command openstorm opens and closes a file again and again, as fast as one thread can, and prints
// the nanoseconds for each time.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	count := flag.Int("n", 1_000_000, "how many times")
	cpu := flag.Int("cpu", -1, "pin the thread to this CPU")
	path := flag.String("path", "/etc/hostname", "the file")
	flag.Parse()
	if err := storm(*path, *count, *cpu); err != nil {
		fmt.Fprintln(os.Stderr, "openstorm:", err)
		os.Exit(1)
	}
}

func storm(path string, count, cpu int) error {
	runtime.LockOSThread()
	if cpu >= 0 {
		var set unix.CPUSet
		set.Set(cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("pin to CPU %d: %w", cpu, err)
		}
	}
	start := time.Now()
	for range count {
		fd, err := unix.Open(path, unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		if err := unix.Close(fd); err != nil {
			return err
		}
	}
	fmt.Println(time.Since(start).Nanoseconds() / int64(count))
	return nil
}
