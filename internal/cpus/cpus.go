// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package cpus reads the lists of CPUs that the kernel publishes. Their numbers may have holes, and
// those that are online may be others than those that a process may run on.
package cpus

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// maxCPU is far above what the kernel can be built for (8192).
const maxCPU = 1 << 16

// Online returns the numbers of the CPUs that are online, in ascending order.
func Online() ([]int, error) { return read("online") }

// Possible returns the numbers of the CPUs that may ever be online, in ascending order. The kernel keeps
// per-CPU data for exactly these.
func Possible() ([]int, error) { return read("possible") }

func read(list string) ([]int, error) {
	data, err := os.ReadFile("/sys/devices/system/cpu/" + list)
	if err != nil {
		return nil, err
	}
	return Parse(string(data))
}

// Parse reads a list like "0-3,8", the format of the kernel's files (Documentation/admin-guide,
// "cputopology").
func Parse(list string) ([]int, error) {
	var all []int
	for _, part := range strings.Split(strings.TrimSpace(list), ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.ParseUint(from, 10, 31)
		last := first
		if err == nil && isRange {
			last, err = strconv.ParseUint(to, 10, 31)
		}
		if err != nil || last < first || last > maxCPU || len(all) > maxCPU {
			return nil, fmt.Errorf("%q is no list of CPUs", list)
		}
		for n := first; n <= last; n++ {
			all = append(all, int(n))
		}
	}
	return all, nil
}
