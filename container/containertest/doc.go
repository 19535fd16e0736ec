// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package containertest has the tests that every [container.Runtime] passes.
//
// The client of a runtime runs them in one test, against a neighbour: the real runtime, or a server that plays it.
// [Played] keeps the containers of such a server, which only has to translate:
//
//	func TestDockerContract(t *testing.T) {
//		containertest.Runtime(t, containertest.Case{
//			New:       func(socket string) container.Runtime { return runtimes.NewDocker(socket) },
//			Neighbour: playDocker,
//		})
//	}
//
// The suite counts goroutines and open files, so the test that runs it is not parallel.
package containertest
