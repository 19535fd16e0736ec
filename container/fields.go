// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Field is a field that containers add to events: a text, a number or a bool.
type Field struct {
	// Name is the full name: "runtime.containerName".
	Name string
	// Doc is one sentence for users.
	Doc string
	// Kind is event.String, event.Uint or event.Bool.
	Kind event.Kind
	// Template names the annotation template of the field.
	Template string
	// Shown says in which environments the field is a visible column by default.
	Shown Environment
	text  func(c *Container) string
	bits  func(c *Container) uint64
}

// Environment is a set of environments.
type Environment uint8

// The environments. Nowhere is the zero value.
const (
	Nowhere Environment = iota
	OutsideKubernetes
	InKubernetes
)

// IDWidth is the width of a column of ids in characters. Ids have 64 digits, and the first 12 identify a container.
const IDWidth = 20

// fieldCount is the number of fields that containers have.
const fieldCount = 15

// Fields returns the fields that containers have, in the order in which events have them.
func Fields() [fieldCount]Field {
	return [fieldCount]Field{
		{Name: "runtime.runtimeName", Kind: event.String, Doc: "Name of the container runtime", text: func(c *Container) string { return c.Runtime }},
		{Name: "runtime.containerName", Kind: event.String, Template: "container", Shown: OutsideKubernetes,
			Doc: "Name of the container, as its runtime knows it", text: func(c *Container) string { return c.Name }},
		{Name: "runtime.containerId", Kind: event.String, Doc: "Id of the container", text: func(c *Container) string { return c.ID }},
		{Name: "runtime.containerPid", Kind: event.Uint, Template: "pid", Doc: "Id of the container's first process on the host",
			bits: func(c *Container) uint64 { return uint64(c.PID) }},
		{Name: "runtime.containerImageName", Kind: event.String, Template: "containerImageName",
			Doc: "Name of the container's image", text: func(c *Container) string { return c.Image }},
		{Name: "runtime.containerImageDigest", Kind: event.String, Template: "containerImageDigest",
			Doc: "Digest of the container's image", text: func(c *Container) string { return c.ImageDigest }},
		{Name: "runtime.containerStartedAt", Kind: event.String, Template: "containerStartedAt",
			Doc: "When the container started", text: startedAt},
		{Name: "k8s.node", Kind: event.String, Template: "node", Doc: "Name of the Kubernetes node",
			text: func(c *Container) string { return c.Node }},
		{Name: "k8s.namespace", Kind: event.String, Template: "namespace", Shown: InKubernetes,
			Doc: "Namespace of the pod", text: func(c *Container) string { return c.Pod.Namespace }},
		{Name: "k8s.podName", Kind: event.String, Template: "pod", Shown: InKubernetes,
			Doc: "Name of the pod", text: func(c *Container) string { return c.Pod.Name }},
		{Name: "k8s.containerName", Kind: event.String, Template: "container", Shown: InKubernetes,
			Doc: "Name of the container within its pod", text: func(c *Container) string { return c.Pod.Container }},
		{Name: "k8s.podLabels", Kind: event.String, Doc: "Labels of the pod: KEY=VALUE,…",
			text: func(c *Container) string { return joinLabels(c.Pod.Labels) }},
		{Name: "k8s.hostnetwork", Kind: event.Bool, Doc: "Whether the container has the network of the host",
			bits: func(c *Container) uint64 {
				if c.HostNetwork && c.InPod() {
					return 1
				}
				return 0
			}},
		{Name: "k8s.owner.kind", Kind: event.String, Doc: "Kind of what owns the pod: Deployment, DaemonSet, …",
			text: func(c *Container) string { kind, _ := c.Pod.owner(); return kind }},
		{Name: "k8s.owner.name", Kind: event.String, Doc: "Name of what owns the pod",
			text: func(c *Container) string { _, name := c.Pod.owner(); return name }},
	}
}

func startedAt(c *Container) string {
	if c.StartedAt.IsZero() {
		return ""
	}
	return c.StartedAt.UTC().Format(time.RFC3339Nano)
}

// joinLabels writes labels in the order of their keys.
func joinLabels(labels map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, key+"="+labels[key])
	}
	return strings.Join(parts, ",")
}

// owner returns the owner of the pod by the pod's labels. Without an API server that is a guess for Deployments, whose
// pods are called NAME-HASH-SUFFIX, and exact for StatefulSets, DaemonSets and Jobs.
func (p *Pod) owner() (kind, name string) {
	if job := p.Labels["batch.kubernetes.io/job-name"]; job != "" {
		return "Job", job
	}
	if hash := p.Labels["pod-template-hash"]; hash != "" {
		if name, _, ok := strings.Cut(p.Name, "-"+hash+"-"); ok {
			return "Deployment", name
		}
	}
	if pod := p.Labels["statefulset.kubernetes.io/pod-name"]; pod != "" {
		return "StatefulSet", pod[:max(strings.LastIndexByte(pod, '-'), 0)]
	}
	if p.Labels["controller-revision-hash"] != "" {
		return "DaemonSet", p.Name[:max(strings.LastIndexByte(p.Name, '-'), 0)]
	}
	return "", ""
}
