// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/stage/container"
	"github.com/gizmo-ebpf/gizmo/stage/filter"
	"github.com/gizmo-ebpf/gizmo/stage/sort"
)

// stageList is the stages of a run in the order in which events pass them.
type stageList struct {
	stages  []pipeline.Stage
	streams *sort.Streams // one of them, which wraps sources as well
	// containers is the first of them; nil: none.
	containers *container.Stage
}

// newStages makes the stages of a run with these data sources. This is the only place that decides their order. A recording, if
// there is one, gets all events of the selected containers, with their names. With an error it returns the stages that add fields, so that the rest of the
// options can be checked.
func newStages(o *Options, record *recording, all []event.SourceID) (*stageList, error) {
	list := &stageList{containers: o.Containers.stage()}
	if list.containers != nil {
		list.stages = append(list.stages, list.containers) // before the recording, which keeps its results
	}
	list.stages = append(list.stages, o.stacks.Stages()...)
	e := &o.Events
	options, err := e.sorting(all)
	if err != nil {
		return list, err
	}
	if list.streams, err = sort.NewStreams(options); err != nil {
		return list, about("sort", err)
	}
	filters, err := filter.New(e.Filters)
	if err != nil {
		return list, about("filter", err)
	}
	exprs, err := filter.NewExpr(e.Expressions)
	if err != nil {
		return list, about("filter-expr", err)
	}
	arrays, err := sort.NewArrays(options)
	if err != nil {
		return list, about("sort", err)
	}
	if record != nil {
		list.stages = append(list.stages, record)
	}
	list.stages = append(list.stages,
		named{list.streams, "sort"},
		filters, // their errors name the option themselves
		exprs,
		named{arrays, "sort"})
	return list, nil
}

// sorting returns the options of package sort.
func (e *Events) sorting(all []event.SourceID) (sort.Options, error) {
	o := sort.Options{Keys: make(map[event.SourceID][]sort.Key), Window: e.SortWindow, MaxEntries: e.MaxEntries, MaxHeld: e.SortMemory}
	if err := e.check(); err != nil {
		return o, err
	}
	texts, err := perSource(e.Sort, ";", all)
	if err != nil {
		return o, about("sort", err)
	}
	for id, text := range texts {
		if o.Keys[id], err = sort.Parse(text); err != nil {
			return o, about("sort", err)
		}
	}
	return o, nil
}

// named is a stage whose errors name the option that it implements.
type named struct {
	pipeline.Stage
	option string
}

func (n named) Reads(s *event.Schema) (event.FieldSet, error) {
	reads, err := n.Stage.Reads(s)
	return reads, about(n.option, err)
}

func (n named) Bind(s *event.Schema, need event.FieldSet) (pipeline.Func, error) {
	f, err := n.Stage.Bind(s, need)
	return f, about(n.option, err)
}
