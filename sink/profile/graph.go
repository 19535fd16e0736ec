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

// inlining says whether the calls of a frame are inlined.
type inlining uint8

const (
	called inlining = 1 << iota
	inlined
)

// graph is samples, added up by what flame graphs show. It has no nodes: a profile of 20,000 stacks can have half a million.
type graph struct {
	// frames are in their order. inlining has an element for each.
	frames   []graphFrame
	inlining []inlining
	// paths are in the order of their frames, and differ.
	paths []callPath
}

// callPath is the samples with the same frames. Samples share the lists of frames: many may have the same stack.
type callPath struct {
	roots, stack []uint32 // indices in graph.frames, the outermost first
	self         []int64
}

func (p *callPath) len() int { return len(p.roots) + len(p.stack) }

func (p *callPath) frame(i int) uint32 {
	if i < len(p.roots) {
		return p.roots[i]
	}
	return p.stack[i-len(p.roots)]
}

// common returns how many of their first frames are the same.
func (p *callPath) common(other *callPath) int {
	n := 0
	for n < min(p.len(), other.len()) && p.frame(n) == other.frame(n) {
		n++
	}
	return n
}

func comparePaths(a, b callPath) int {
	n := a.common(&b)
	if n == min(a.len(), b.len()) {
		return cmp.Compare(a.len(), b.len())
	}
	return cmp.Compare(a.frame(n), b.frame(n))
}

// column is the values of a profile, by their index, that become one of the values of a graph.
type column struct {
	profile *Profile
	index   int
}

// newGraph makes a graph of samples. A flame graph cannot show what is less than nothing, so values below 0 are left out.
func newGraph(columns ...column) *graph {
	g := &graph{}
	lists := frameLists{numbers: g.addFrames(columns), stacks: make(map[**Frame][]uint32), roots: make(map[*string][]uint32)}
	for i, c := range columns {
		for s := range c.profile.Samples {
			sample := &c.profile.Samples[s]
			if v := sample.Values[c.index]; v > 0 {
				p := callPath{roots: lists.ofRoots(sample.Roots), stack: lists.ofStack(sample.Stack), self: make([]int64, len(columns))}
				p.self[i] = v
				g.paths = append(g.paths, p)
			}
		}
	}
	slices.SortFunc(g.paths, comparePaths)
	merged := g.paths[:0]
	for _, p := range g.paths {
		if n := len(merged); n > 0 && comparePaths(merged[n-1], p) == 0 {
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

// frameLists are the numbers of frames, by the first element of the list of which they are.
type frameLists struct {
	numbers map[graphFrame]uint32
	stacks  map[**Frame][]uint32
	roots   map[*string][]uint32
}

func (l *frameLists) ofStack(stack []*Frame) []uint32 {
	if len(stack) == 0 {
		return nil
	}
	list, ok := l.stacks[&stack[0]]
	if !ok {
		for _, f := range slices.Backward(stack) {
			eachGraphFrame(f, func(g graphFrame, _ inlining) { list = append(list, l.numbers[g]) })
		}
		l.stacks[&stack[0]] = list
	}
	return list
}

func (l *frameLists) ofRoots(roots []string) []uint32 {
	if len(roots) == 0 {
		return nil
	}
	list, ok := l.roots[&roots[0]]
	if !ok {
		for _, name := range roots {
			list = append(list, l.numbers[graphFrame{name: name, kind: noCode}])
		}
		l.roots[&roots[0]] = list
	}
	return list
}

// addFrames finds all frames, and returns their indices.
func (g *graph) addFrames(columns []column) map[graphFrame]uint32 {
	how := make(map[graphFrame]inlining)
	for _, c := range columns {
		for i := range c.profile.Samples {
			eachFrame(&c.profile.Samples[i], func(f graphFrame, is inlining) { how[f] |= is })
		}
	}
	g.frames = slices.SortedFunc(maps.Keys(how), compareGraphFrames)
	numbers := make(map[graphFrame]uint32)
	for i, f := range g.frames {
		numbers[f] = uint32(i)
		g.inlining = append(g.inlining, how[f])
	}
	return numbers
}

// eachFrame calls do for the frames of a sample, the outermost first.
func eachFrame(s *Sample, do func(graphFrame, inlining)) {
	for _, name := range s.Roots {
		do(graphFrame{name: name, kind: noCode}, called)
	}
	for _, f := range slices.Backward(s.Stack) {
		eachGraphFrame(f, do)
	}
}

// eachGraphFrame calls do for the calls that a frame is, the outermost first.
func eachGraphFrame(f *Frame, do func(graphFrame, inlining)) {
	g := graphFrame{kind: userCode}
	switch {
	case f.Module == nil && f.Function != nil:
		g.kind = noCode
	case f.isKernel():
		g.kind = kernelCode
	}
	if f.Module != nil {
		g.module = f.Module.Name
	}
	f.eachCall(func(name string, isInlined bool) {
		g.name = name
		if isInlined {
			do(g, inlined)
		} else {
			do(g, called)
		}
	})
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
	var before callPath
	for _, p := range g.paths {
		for i := p.common(&before); i < p.len(); i++ {
			n := node{frame: p.frame(i), depth: i + 1, self: nothing}
			if i == p.len()-1 {
				n.self = p.self
			}
			do(n)
		}
		before = p
	}
}
