// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// tool is one row of tools.yaml, which explains the keys.
type tool struct {
	Name         string   `yaml:"name"`
	Open         []string `yaml:"open"`
	Exec         []string `yaml:"exec"`
	Paced        []string `yaml:"paced"`
	KernelFilter []string `yaml:"kernel_filter"`
	UserFilter   []string `yaml:"user_filter"`
	DNS          []string `yaml:"dns"`
	Metrics      []string `yaml:"metrics"`
	Lost         pattern  `yaml:"lost"`
	Delivered    pattern  `yaml:"delivered"`
}

// kind is the kind of events that a tool has to show.
type kind int

const (
	kindOpen kind = iota
	kindExec
	kindPaced
	kindKernelFilter
	kindUserFilter
	kindDNS
	kindMetrics
)

func (t *tool) command(k kind) []string {
	return [...][]string{t.Open, t.Exec, t.Paced, t.KernelFilter, t.UserFilter, t.DNS, t.Metrics}[k]
}

// pattern finds numbers in a text.
type pattern struct{ *regexp.Regexp }

func (p *pattern) UnmarshalYAML(node *yaml.Node) (err error) {
	if p.Regexp, err = regexp.Compile(node.Value); err == nil && p.NumSubexp() != 1 {
		err = fmt.Errorf("%q: want one group, the number", node.Value)
	}
	return err
}

// sum adds up the numbers found; ok is false if there is none.
func (p pattern) sum(text []byte) (total int, ok bool) {
	if p.Regexp == nil {
		return 0, false
	}
	for _, match := range p.FindAllSubmatch(text, -1) {
		n, err := strconv.Atoi(string(match[1]))
		if err == nil {
			total, ok = total+n, true
		}
	}
	return total, ok
}

// programs are all that are measured.
type programs struct {
	Tools     []tool     `yaml:"tools"`
	Profilers []profiler `yaml:"profilers"`
	Captures  []capture  `yaml:"captures"`
}

func readPrograms(file string) (*programs, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var p programs
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &p, nil
}
