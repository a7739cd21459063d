"""What OpenAPI does not say about Kubernetes' types: how a field that is set to nothing is written back.

A typed server decodes an object and encodes it again: a null, an empty list, and for most fields a zero are gone
afterwards, some fields are always there. Clients see this (and managedFields, and diffs), so the schema pack carries it,
per property, as `zero`:

    drop   an integer or boolean that is written only when it is not zero (strings, lists and maps drop by default)
    keep   a string that is written even when empty, because unset means something else (integers and booleans keep
           by default)
    fill   a value that is always written: `{}`, an empty string or 0 when nothing is in it
    null   a list, time or string that is written as null when it is unset

Entries are `property` (in every definition) or `Definition.property` (of any group and version), the more precise one
wins; a leading `-` makes an exception to a bare property.
"""

DROP = """
observedGeneration minReadySeconds paused hostNetwork hostPID hostIPC stdin stdinOnce tty unschedulable
hostPort nodePort healthCheckNodePort publishNotReadyAddresses sizeBytes signal globalDefault clusterScope
initialDelaySeconds failureThreshold periodSeconds successThreshold Probe.timeoutSeconds
availableReplicas readyReplicas unavailableReplicas updatedReplicas fullyLabeledReplicas currentReplicas
numberAvailable numberUnavailable updatedNumberScheduled DeploymentStatus.replicas ScaleSpec.replicas
JobStatus.active JobStatus.failed JobStatus.succeeded Event.count Event.deprecatedCount EventSeries.count
readOnly partition sslEnabled chapAuthDiscovery chapAuthSession ServiceBackendPort.number
DeviceSubRequest.count ExactDeviceRequest.count DeviceRequest.count
generation remainingItemCount code retryAfterSeconds CustomResourceColumnDefinition.priority preserveUnknownFields
CustomResourceDefinitionVersion.deprecated exclusiveMaximum exclusiveMinimum uniqueItems nullable
x-kubernetes-embedded-resource x-kubernetes-int-or-string denied authenticated insecureSkipTLSVerify
-AzureDiskVolumeSource.readOnly -CSIVolumeSource.readOnly -RollingUpdateStatefulSetStrategy.partition
-HorizontalPodAutoscalerStatus.observedGeneration
"""

KEEP = """
failurePolicy matchPolicy sideEffects reinvocationPolicy parameterNotFoundAction url ServiceReference.path
selectPolicy timeZone completionMode managedBy podReplacementPolicy failedIndexes succeededIndexes
PodFailurePolicyOnExitCodesRequirement.containerName
holderIdentity preferredHolder LeaseSpec.strategy localhostProfile cachingMode AzureDiskVolumeSource.fsType
AzureDiskVolumeSource.kind secretNamespace CSIVolumeSource.fsType LocalVolumeSource.fsType
ClusterTrustBundleProjection.name ClusterTrustBundleProjection.signerName Container.restartPolicy
EphemeralContainer.restartPolicy stopSignal appProtocol GRPCAction.service endpointsNamespace
HostPathVolumeSource.type initiatorName ipMode PersistentVolumeClaimSpec.storageClassName
volumeAttributesClassName currentVolumeAttributesClassName volumeMode PodDNSConfigOption.value resourceClaimName
resourceClaimTemplateName podGroupName fsGroupChangePolicy seLinuxChangePolicy supplementalGroupsPolicy
hostnameOverride preemptionPolicy runtimeClassName PortStatus.error IngressPortStatus.error ResourceHealth.message
procMount internalTrafficPolicy ipFamilyPolicy loadBalancerClass trafficDistribution nodeAffinityPolicy
nodeTaintsPolicy TypedObjectReference.namespace
mountPropagation recursiveReadOnly gmsaCredentialSpec gmsaCredentialSpecName runAsUserName Endpoint.hostname
Endpoint.nodeName Endpoint.zone discovery.EndpointPort.name discovery.EndpointPort.protocol HTTPIngressPath.pathType
IngressClassParametersReference.apiGroup IngressClassParametersReference.namespace
IngressClassParametersReference.scope ingressClassName NetworkPolicyPort.protocol unhealthyPodEvictionPolicy
fsGroupPolicy reclaimPolicy volumeBindingMode persistentVolumeName -PersistentVolumeSpec.persistentVolumeReclaimPolicy
NamedRuleWithOperations.scope RuleWithOperations.scope EndpointAddress.nodeName AllocatedDeviceStatus.shareID
Device.nodeName DeviceAttribute.string DeviceAttribute.version DeviceClassSpec.extendedResourceName
DeviceConstraint.distinctAttribute DeviceConstraint.matchAttribute DeviceRequestAllocationResult.shareID
NodeAllocatableResourceMapping.capacityKey ResourceSliceSpec.nodeName
CustomResourceDefinitionVersion.deprecationWarning CustomResourceSubresourceScale.labelSelectorPath JSONSchemaProps.$ref
JSONSchemaProps.x-kubernetes-list-type JSONSchemaProps.x-kubernetes-map-type ValidationRule.reason
DeleteOptions.propagationPolicy Preconditions.resourceVersion Preconditions.uid
"""

FILL = """
metadata template jobTemplate DeploymentSpec.strategy updateStrategy Container.resources resources lastState state
loadBalancer daemonEndpoints kubeletEndpoint nodeInfo involvedObject Event.source Event.regarding
Event.deprecatedSource scaleTargetRef describedObject metric target current roleRef podAffinityTerm preference
Endpoint.conditions limitResponse priorityLevelConfiguration backend IngressServiceBackend.port
NetworkPolicySpec.podSelector VolumeAttachmentSpec.source CustomResourceDefinitionSpec.names acceptedNames
ResourceSliceSpec.pool AllocationResult.devices ResourceClaimSpec.devices spec status clientConfig
StatefulSetSpec.serviceName StatefulSetStatus.availableReplicas Event.reportingComponent Event.reportingInstance
PodDisruptionBudgetStatus.currentHealthy PodDisruptionBudgetStatus.desiredHealthy NodeRuntimeHandler.name
PodDisruptionBudgetStatus.disruptionsAllowed PodDisruptionBudgetStatus.expectedPods PriorityClass.value
FlowSchemaSpec.matchingPrecedence QueuingConfiguration.handSize QueuingConfiguration.queueLengthLimit
QueuingConfiguration.queues StatefulSetOrdinals.start PodFailurePolicyOnPodConditionsPattern.status
-DeploymentStatus.strategy -ResourceClaimTemplateSpec.resources -PodSpec.resources -PodStatus.resources
-ContainerStatus.resources -PodTemplate.spec -ReplicationControllerSpec.template
-HPAScalingRules.target -ReplicaSetStatus.template -ServiceReference.target -Endpoints.target -MetricSpec.resource
-CronJobSpec.template -SelfSubjectReview.spec -IPAddress.status -StatefulSetStatus.current -ContainerRestartRule.action -ContainerRestartRuleOnExitCodes.operator
-ImageVolumeStatus.imageRef -PodCertificateProjection.keyType -PodCertificateProjection.signerName -ParentReference.name
-ParentReference.resource -MutatingWebhook.sideEffects -ValidatingWebhook.sideEffects -HTTPIngressPath.pathType -ValidatingAdmissionPolicyBindingSpec.policyName
-EndpointAddress.target -MetricTarget.target -CustomResourceSubresources.status
"""

NULL = """
Role.rules ClusterRole.rules EndpointSlice.endpoints EndpointSlice.ports HorizontalPodAutoscalerStatus.currentMetrics
PolicyRule.verbs CustomResourceDefinitionStatus.conditions CustomResourceDefinitionStatus.storedVersions
LimitRangeSpec.limits NodeSelector.nodeSelectorTerms HTTPIngressRuleValue.paths PodSpec.containers
ProjectedVolumeSource.sources Endpoint.addresses PodFailurePolicy.rules SuccessPolicy.rules
CSINodeSpec.drivers CSINodeDriver.topologyKeys
ContainerStateRunning.startedAt ContainerStateTerminated.startedAt ContainerStateTerminated.finishedAt
Event.eventTime Event.firstTimestamp Event.lastTimestamp Event.deprecatedFirstTimestamp Event.deprecatedLastTimestamp
EventSeries.lastObservedTime lastProbeTime lastTransitionTime lastHeartbeatTime lastUpdateTime VolumeError.time
TokenRequestSpec.boundObjectRef TypedLocalObjectReference.apiGroup TypedObjectReference.apiGroup
MutatingWebhook.admissionReviewVersions ValidatingWebhook.admissionReviewVersions TokenRequestSpec.audiences
NonResourceRule.verbs ResourceRule.verbs SubjectRulesReviewStatus.nonResourceRules
SubjectRulesReviewStatus.resourceRules PodFailurePolicyOnExitCodesRequirement.values
CephFSPersistentVolumeSource.monitors CephFSVolumeSource.monitors ContainerImage.names RBDPersistentVolumeSource.monitors
RBDVolumeSource.monitors TopologySelectorLabelRequirement.values NonResourcePolicyRule.nonResourceURLs
NonResourcePolicyRule.verbs PolicyRulesWithSubjects.subjects ResourcePolicyRule.apiGroups ResourcePolicyRule.namespaces
ResourcePolicyRule.resources ResourcePolicyRule.verbs DeviceClaim.requests
CustomResourceDefinitionSpec.versions WebhookConversion.conversionReviewVersions
"""
