// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter_test

import (
	"testing"

	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
	"github.com/gizmo-ebpf/gizmo/stage/filter"
)

// Filters of both languages are stages like any other.
func TestStageContract(t *testing.T) {
	for _, c := range []struct {
		name  string
		parse func(map[string]string) (*filter.Stage, error)
		texts map[string]string
	}{
		{"comparisons", filter.New, map[string]string{"": "serial>=10,text!~7$,mark~mark 1", pipelinetest.One: "rare==rare 0"}},
		{"none left", filter.New, map[string]string{"": "serial>1000000"}},
		{"expressions", filter.NewExpr, map[string]string{"": `serial >= 10 && (text startsWith "event 5" || mark == "mark 3")`, pipelinetest.Two: "serial != 51"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			pipelinetest.Stage(t, pipelinetest.StageCase{New: func(t testing.TB) pipeline.Stage {
				st, err := c.parse(c.texts)
				if err != nil {
					t.Fatalf("parsing the filters: %v", err)
				}
				return st
			}})
		})
	}
}
