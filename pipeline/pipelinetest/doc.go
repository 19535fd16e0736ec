// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package pipelinetest has the tests that every implementation of [pipeline.Source], [pipeline.Stage] and
// [pipeline.Sink] passes: a suite for each, and one for sources that wrap another.
//
// An implementation runs its suite in one test. This is the test of a gadget's source, for which workload causes 100 events:
//
//	func TestSourceContract(t *testing.T) {
//		pipelinetest.Source(t, pipelinetest.SourceCase{
//			New: func(t testing.TB) pipeline.Source {
//				g := load(t, "testdata/counter.bpf.o") // and close it when the test ends
//				workload(t, 100)
//				if err := g.Detach(); err != nil { // no other event comes between
//					t.Fatalf("detaching: %v", err)
//				}
//				return g.Sources()[0]
//			},
//			Rows: 100,
//			Live: true,
//		})
//	}
//
// The suites count allocations and goroutines, so the test that runs one is not parallel. Run the tests with the race
// detector, too: some rules are about data races between goroutines, which only the detector sees.
//
// [Script] is a source that plays prepared batches, for tests of other parts.
package pipelinetest
