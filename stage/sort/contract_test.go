// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort_test

import (
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
	"github.com/gizmo-ebpf/gizmo/stage/sort"
)

func TestArraysContract(t *testing.T) {
	keys := map[event.SourceID][]sort.Key{{Name: pipelinetest.Arrays}: {{Field: "mark"}, {Field: "serial", Descending: true}}}
	for name, o := range map[string]sort.Options{
		"sorted":           {Keys: keys},
		"shortened":        {MaxEntries: 10},
		"sorted and short": {Keys: keys, MaxEntries: 10},
	} {
		t.Run(name, func(t *testing.T) {
			pipelinetest.Stage(t, pipelinetest.StageCase{New: func(t testing.TB) pipeline.Stage {
				stage, err := sort.NewArrays(o)
				check(t, err)
				return stage
			}})
		})
	}
}

func TestStreamsContract(t *testing.T) {
	for name, keys := range map[string]map[event.SourceID][]sort.Key{
		"one is sorted":   {{Name: pipelinetest.One}: {{Field: "serial", Descending: true}}},
		"both are sorted": {{Name: pipelinetest.One}: {{Field: "text"}}, {Name: pipelinetest.Two}: {{Field: "mark"}}},
	} {
		for _, window := range []time.Duration{sort.MinWindow, 20 * time.Millisecond} {
			t.Run(name+" in "+window.String(), func(t *testing.T) {
				pipelinetest.Wrapper(t, pipelinetest.WrapperCase{
					Wrap: func(t testing.TB, inner pipeline.Source) pipeline.Source {
						return wrap(t, inner, sort.Options{Keys: keys, Window: window, MaxHeld: 64 << 10})
					},
					Holds: true,
				})
			})
		}
	}
}
