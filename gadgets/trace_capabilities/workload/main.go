// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload makes the kernel check for capabilities.
//
//	workload DIR
//
// The kernel also checks when a program allocates memory, which Go's runtime does at any time. So threads have
// the name that gizmo filters by only while they make the calls that count. DIR is not used.
package main

import (
	"os"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// hostVar is the environment variable that makes this program a process in a user namespace. It has
// the number of the user namespace outside.
const hostVar = "GIZMO_WORKLOAD_HOST_USER_NAMESPACE"

func main() {
	do := run
	if os.Getenv(hostVar) != "" {
		do = runChild
	}
	workload.Main(do)
}

func run(dir string) error {
	return workload.Cause([]string{"--comm", comm}, workload.InTurn(
		onThread(asRoot),
		onThread(asNobody),
		onThread(asOther),
		onThread(workload.Compat((*thread).call32)),
		func() ([]Event, error) { return inUserNamespace(dir) },
	))
}
