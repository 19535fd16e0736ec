// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"fmt"
	"slices"
	"strings"
)

// Criterion is one kind of filter for containers.
type Criterion struct {
	// Name is the name of its flag: "k8s-namespace".
	Name string
	// Doc says what it compares: "namespace of the pod".
	Doc string
	// Example is a value, for documentation.
	Example string
	// matches reports whether a container has a value.
	matches func(c *Container, value string) bool
	// parse, if set, checks a value and returns the function that matches it.
	parse func(value string) (func(c *Container) bool, error)
}

// Criteria returns all criteria.
func Criteria() []Criterion {
	return []Criterion{
		{Name: "containername", Doc: "name", Example: "web,db or !web",
			matches: func(c *Container, name string) bool { return c.Name == name || c.Pod.Container == name }},
		{Name: "k8s-namespace", Doc: "namespace of the pod", Example: "!kube-system",
			matches: func(c *Container, name string) bool { return c.Pod.Namespace == name }},
		{Name: "k8s-podname", Doc: "name of the pod", Example: "shop-0",
			matches: func(c *Container, name string) bool { return c.Pod.Name == name }},
		{Name: "k8s-containername", Doc: "name in the pod", Example: "web",
			matches: func(c *Container, name string) bool { return c.Pod.Container == name }},
		{Name: "k8s-selector", Doc: "labels of the pod, which must have all of these", Example: "app=shop,tier!=db", parse: parseLabel},
		{Name: "runtime-containername", Doc: "name in the container runtime", Example: "web",
			matches: func(c *Container, name string) bool { return c.Name == name }},
		{Name: "runtime-containerid", Doc: "id, or at least 12 of its first digits", Example: "0123456789ab",
			matches: hasID},
		{Name: "runtime-containerimagename", Doc: "name of the image", Example: "nginx:latest",
			matches: func(c *Container, name string) bool { return c.Image == name }},
	}
}

// hasID also accepts a shortened id, as runtimes print it.
func hasID(c *Container, id string) bool {
	const shortest = 12
	return c.ID == id || len(id) >= shortest && strings.HasPrefix(c.ID, id)
}

// parseLabel reads KEY=VALUE or KEY!=VALUE.
func parseLabel(text string) (func(c *Container) bool, error) {
	key, value, ok := strings.Cut(text, "=")
	key, unequal := strings.CutSuffix(key, "!")
	if !unequal {
		value = strings.TrimPrefix(value, "=") // Kubernetes takes KEY==VALUE, too
	}
	if !ok || key == "" {
		return nil, fmt.Errorf("%q is not KEY=VALUE or KEY!=VALUE", text)
	}
	return func(c *Container) bool {
		got, has := c.Pod.Labels[key]
		if unequal {
			return c.InPod() && (!has || got != value)
		}
		return has && got == value
	}, nil
}

// Selector selects the containers that meet all of its conditions. Its zero value, and nil, select
// all containers.
type Selector struct{ conditions []func(c *Container) bool }

// NewSelector makes a selector from texts by the names of criteria. A text is a list of values with commas between them: a
// container must have one of the values, and none of the values with a ! in front. For k8s-selector, all values must match. An empty text
// sets no condition.
func NewSelector(texts map[string]string) (*Selector, error) {
	s := &Selector{}
	for _, kind := range Criteria() {
		text := texts[kind.Name]
		if text == "" {
			continue
		}
		holds, err := kind.condition(strings.Split(text, ","))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind.Name, err)
		}
		s.conditions = append(s.conditions, holds)
	}
	return s, nil
}

// IsAll reports whether all containers are selected.
func (s *Selector) IsAll() bool { return s == nil || len(s.conditions) == 0 }

// Matches reports whether a container is selected. It treats a pod's sandbox, and the common part of several containers,
// like any other container.
func (s *Selector) Matches(c *Container) bool {
	if s == nil {
		return true
	}
	for _, holds := range s.conditions {
		if !holds(c) {
			return false
		}
	}
	return true
}

// Shows reports whether a container is selected and one that users know: the sandbox of a pod is not.
func (s *Selector) Shows(c *Container) bool { return !c.Pod.Sandbox && s.Matches(c) }

func (k *Criterion) condition(values []string) (func(c *Container) bool, error) {
	if k.parse != nil {
		return k.allOf(values)
	}
	var wanted, unwanted []string
	for _, v := range values {
		name, excluded := strings.CutPrefix(strings.TrimSpace(v), "!")
		switch {
		case name == "":
			return nil, fmt.Errorf("%q has an empty value", strings.Join(values, ","))
		case excluded:
			unwanted = append(unwanted, name)
		default:
			wanted = append(wanted, name)
		}
	}
	return func(c *Container) bool {
		has := func(value string) bool { return k.matches(c, value) }
		return (len(wanted) == 0 || slices.ContainsFunc(wanted, has)) && !slices.ContainsFunc(unwanted, has)
	}, nil
}

// allOf makes a condition that holds if all of the values match.
func (k *Criterion) allOf(values []string) (func(c *Container) bool, error) {
	all := &Selector{}
	for _, v := range values {
		holds, err := k.parse(strings.TrimSpace(v))
		if err != nil {
			return nil, err
		}
		all.conditions = append(all.conditions, holds)
	}
	return all.Matches, nil
}
