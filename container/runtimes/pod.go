// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"cmp"
	"strings"

	"github.com/gizmo-ebpf/gizmo/container"
)

// identifyPod fills an identity from the labels that the kubelet gives to sandboxes and containers. The labels that containerd
// knows include those of the image. The name of a sandbox is that of its pod.
func identifyPod(id *container.Identity, sandbox bool, labels map[string]string) {
	id.Pod = container.Pod{
		Namespace: labels["io.kubernetes.pod.namespace"],
		Name:      labels["io.kubernetes.pod.name"],
		UID:       labels["io.kubernetes.pod.uid"],
		Sandbox:   sandbox,
	}
	if sandbox {
		id.Name, id.Labels, id.Pod.Labels = cmp.Or(id.Pod.Name, id.Name), nil, withoutKubelet(labels)
		return
	}
	id.Pod.Container = labels["io.kubernetes.container.name"]
	id.Name, id.Labels = cmp.Or(id.Pod.Container, id.Name), withoutKubelet(labels)
}

// withoutKubelet returns the labels of users, without those that the kubelet and containerd add for each other.
func withoutKubelet(all map[string]string) map[string]string {
	own := make(map[string]string)
	for key, value := range all {
		if !strings.HasPrefix(key, "io.kubernetes.") && !strings.HasPrefix(key, "io.cri-containerd.") {
			own[key] = value
		}
	}
	return own
}
