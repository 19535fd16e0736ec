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
	// Name is that of its flag: "k8s-namespace".
	Name string
	// Doc says what is compared.
	Doc string
	// Example is a value, for documentation.
	Example string
	// matches reports whether a container has a value.
	matches func(c *Container, value string) bool
	// parse, if set, checks a value and makes matches of it.
	parse func(value string) (func(c *Container) bool, error)
}

// Criteria returns the filters that there are.
func Criteria() []Criterion {
	return []Criterion{
		{Name: "containername", Doc: "name of the container, in its pod or as its runtime knows it", Example: "web,db",
			matches: func(c *Container, name string) bool { return c.Name == name || c.Pod.Container == name }},
		{Name: "k8s-namespace", Doc: "namespace of the pod", Example: "!kube-system",
			matches: func(c *Container, name string) bool { return c.Pod.Namespace == name }},
		{Name: "k8s-podname", Doc: "name of the pod", Example: "shop-0",
			matches: func(c *Container, name string) bool { return c.Pod.Name == name }},
		{Name: "k8s-containername", Doc: "name of the container in its pod", Example: "web",
			matches: func(c *Container, name string) bool { return c.Pod.Container == name }},
		{Name: "k8s-selector", Doc: "labels of the pod, all of which it must have", Example: "app=shop,tier!=db", parse: parseLabel},
		{Name: "runtime-containername", Doc: "name of the container, as its runtime knows it", Example: "web",
			matches: func(c *Container, name string) bool { return c.Name == name }},
		{Name: "runtime-containerid", Doc: "id of the container, or its first 12 digits or more", Example: "0123456789ab",
			matches: hasID},
		{Name: "runtime-containerimagename", Doc: "name of the container's image", Example: "nginx:latest",
			matches: func(c *Container, name string) bool { return c.Image == name }},
	}
}

// hasID takes an id as runtimes print it, too.
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

// Selector says which containers a user asked for: those for which all of its conditions hold. Its zero value, and nil, select
// all.
type Selector struct{ conditions []func(c *Container) bool }

// NewSelector makes a selector of texts by the names of criteria. A text is a list of values with commas between them: a
// container has to have one of them, and none of those with a ! in front. Of k8s-selector all must hold. An empty text
// says nothing.
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

// Matches reports whether a container is selected. A pod's sandbox, and what several containers have in common, are
// compared like any other.
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

// allOf makes a condition of several, each of which has to hold.
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
