// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"cmp"
	"maps"
	"slices"
)

// kind is what a frame of a flame graph is.
type kind uint8

const (
	userCode kind = iota
	kernelCode
	noCode // a label, or what is not known
)

// graphFrame is a frame as flame graphs show it: addresses of the same function are the same.
type graphFrame struct {
	name, module string
	kind         kind
}

func compareGraphFrames(a, b graphFrame) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.module, b.module), cmp.Compare(a.kind, b.kind))
}

// graph is samples, added up by what flame graphs show. It has no nodes: a profile of 20,000 stacks can have half a million.
type graph struct {
	// frames are in their order.
	frames []graphFrame
	// paths are in the order of their frames, and differ.
	paths []callPath
}

// callPath is the samples with the same frames.
type callPath struct {
	frames []uint32 // indices in graph.frames, the outermost first
	self   []int64
}

// column is the values of a profile, by their index, that become one of the values of a graph.
type column struct {
	profile *Profile
	index   int
}

// newGraph makes a graph of samples. A flame graph cannot show what is less than nothing, so values below 0 are left out.
func newGraph(columns ...column) *graph {
	g := &graph{}
	numbers := g.addFrames(columns)
	for i, c := range columns {
		for s := range c.profile.Samples {
			sample := &c.profile.Samples[s]
			self := make([]int64, len(columns))
			if self[i] = max(sample.Values[c.index], 0); self[i] > 0 {
				g.paths = append(g.paths, callPath{framesOf(sample, numbers), self})
			}
		}
	}
	slices.SortFunc(g.paths, func(a, b callPath) int { return slices.Compare(a.frames, b.frames) })
	merged := g.paths[:0]
	for _, p := range g.paths {
		if n := len(merged); n > 0 && slices.Equal(merged[n-1].frames, p.frames) {
			for i, v := range p.self {
				merged[n-1].self[i] = addTo(merged[n-1].self[i], v)
			}
			continue
		}
		merged = append(merged, p)
	}
	clear(g.paths[len(merged):])
	g.paths = merged
	return g
}

// addFrames finds all frames, and returns their indices.
func (g *graph) addFrames(columns []column) map[graphFrame]uint32 {
	numbers := make(map[graphFrame]uint32)
	for _, c := range columns {
		for i := range c.profile.Samples {
			eachFrame(&c.profile.Samples[i], func(f graphFrame) { numbers[f] = 0 })
		}
	}
	g.frames = slices.SortedFunc(maps.Keys(numbers), compareGraphFrames)
	for i, f := range g.frames {
		numbers[f] = uint32(i)
	}
	return numbers
}

func framesOf(s *Sample, numbers map[graphFrame]uint32) []uint32 {
	frames := make([]uint32, 0, len(s.Roots)+len(s.Stack))
	eachFrame(s, func(f graphFrame) { frames = append(frames, numbers[f]) })
	return frames
}

// eachFrame calls do for the frames of a sample, the outermost first.
func eachFrame(s *Sample, do func(graphFrame)) {
	for _, name := range s.Roots {
		do(graphFrame{name: name, kind: noCode})
	}
	for _, f := range slices.Backward(s.Stack) {
		do(graphFrameOf(f))
	}
}

func graphFrameOf(f *Frame) graphFrame {
	g := graphFrame{name: f.Name(), kind: userCode}
	switch {
	case f.Module == nil && f.Function != nil:
		g.kind = noCode
	case f.isKernel():
		g.kind = kernelCode
	}
	if f.Module != nil {
		g.module = f.Module.Name
	}
	return g
}

// node is one box of a flame graph.
type node struct {
	frame uint32
	depth int // from 1
	self  []int64
}

// eachNode calls do for all nodes, a node before those that it calls. Paths are in their order, so what a path has in common with the one before
// are nodes that were there already.
func (g *graph) eachNode(do func(node)) {
	nothing := []int64(nil)
	if len(g.paths) > 0 {
		nothing = make([]int64, len(g.paths[0].self))
	}
	var before []uint32
	for _, p := range g.paths {
		common := 0
		for common < min(len(before), len(p.frames)) && before[common] == p.frames[common] {
			common++
		}
		for i := common; i < len(p.frames); i++ {
			n := node{frame: p.frames[i], depth: i + 1, self: nothing}
			if i == len(p.frames)-1 {
				n.self = p.self
			}
			do(n)
		}
		before = p.frames
	}
}
