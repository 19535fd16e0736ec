// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload binds sockets in all the ways that trace_bind has to tell apart.
//
//	workload DIR
//
// DIR is not used.
package main

import "github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"

func main() { workload.Main(run) }

func run(string) error {
	return workload.Cause([]string{"--ignore-errors=false"}, workload.InTurn(
		onThread("bind-addresses", addresses),
		onThread("bind-a-name-longer-than-comm", someOptions),
		onThread("bind-device", device),
		onThread("bind-failures", failures),
		onThread("bind-bad", badAddresses),
		onThread("bind-nobody", forbidden),
		onThread("bind-network", inOwnNetwork),
		onThread("bind-others", others),
		onThread("bind-32-bit", workload.Compat((*thread).call32)),
	))
}
