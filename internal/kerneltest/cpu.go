// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// AllowedCPUs returns the numbers of the CPUs that the calling thread may run on, lowest first.
func AllowedCPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	var cpus []int
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// PinThread locks the calling goroutine to its thread and keeps that on the CPU, until the goroutine
// calls unpin.
func PinThread(cpu int) (unpin func() error, err error) {
	runtime.LockOSThread()
	var before, one unix.CPUSet
	one.Set(cpu)
	if err := errors.Join(unix.SchedGetaffinity(0, &before), unix.SchedSetaffinity(0, &one)); err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("keep a thread on CPU %d: %w", cpu, err)
	}
	return func() error {
		defer runtime.UnlockOSThread()
		return unix.SchedSetaffinity(0, &before)
	}, nil
}
