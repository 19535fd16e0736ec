// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload makes and ends TCP connections in all the ways that trace_tcp has to tell apart.
//
//	workload DIR
//
// All is between addresses of this machine. DIR is a folder in which there is nothing.
package main

import (
	"os"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(dir string) error {
	if err := os.Chdir(dir); err != nil { // the address of a local socket has no room for a long path
		return err
	}
	return workload.Cause(nil, workload.InTurn(
		workload.AtOnce(
			workload.InTurn(tasks()...),
			onThread("tcp-timeout", unanswered), // it takes seconds until nobody has answered
		),
		onThread("tcp-no-fd", withoutDescriptors), // with nobody else
	))
}

func tasks() []workload.Task[Event] {
	var list []workload.Task[Event]
	for _, n := range []struct {
		name string
		network
	}{{"4", ipv4()}, {"6", ipv6()}, {"4in6", mapped()}} {
		with := func(f func(*thread, network) error) func(*thread) error {
			return func(t *thread) error { return f(t, n.network) }
		}
		list = append(list,
			onThread("tcp-ends-"+n.name, with(closings)),
			onThread("tcp-refused-"+n.name, with(refusals)),
			onThread("tcp-a-name-longer-than-comm", with(nonBlocking)),
		)
	}
	return append(list,
		onThread("tcp-failures", failures),
		onThread("tcp-given-up", givenUp),
		onThread("tcp-itself", toItself),
		onThread("tcp-fast-open", fastOpen),
		onThread("tcp-accepts", accepts),
		onThread("tcp-passed-on", acrossThreads),
		onThread("tcp-exit", byExit),
		onThread("tcp-orphan", orphan),
		onThread("tcp-network", inOwnNetwork),
		onThread("tcp-others", noTCP),
		onThread("tcp-32-bit", workload.Compat((*thread).call32)),
	)
}
