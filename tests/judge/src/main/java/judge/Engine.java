package judge;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport.CodeValidationIssueCoding;
import ca.uhn.fhir.parser.DataFormatException;
import ca.uhn.fhir.parser.IParser;
import ca.uhn.fhir.parser.StrictErrorHandler;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.SingleValidationMessage;
import ca.uhn.hapi.converters.canonical.VersionCanonicalizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.common.hapi.validation.validator.ProfileKnowledgeWorkerR5;
import org.hl7.fhir.common.hapi.validation.validator.WorkerContextValidationSupportAdapter;
import org.hl7.fhir.r4.model.MetadataResource;
import org.hl7.fhir.r4.model.StructureDefinition;
import org.hl7.fhir.r5.conformance.profile.ProfileUtilities;
import org.hl7.fhir.r5.model.CodeableConcept;
import org.hl7.fhir.r5.model.Coding;
import org.hl7.fhir.r5.model.OperationOutcome.OperationOutcomeIssueComponent;
import org.hl7.fhir.r5.model.ValueSet;
import org.hl7.fhir.r5.terminologies.utilities.ValidationResult;
import org.hl7.fhir.r5.utils.validation.constants.BestPracticeWarningLevel;
import org.hl7.fhir.r5.utils.validation.constants.ReferenceValidationPolicy;
import org.hl7.fhir.utilities.validation.ValidationMessage;
import org.hl7.fhir.utilities.validation.ValidationOptions;
import org.hl7.fhir.validation.instance.advisor.BasePolicyAdvisorForFullValidation;

/** HAPI's wrapping of the HL7 validator, set to judge as the HL7 validator does and not as HAPI's defaults do. */
final class Engine {

  private final FhirContext r4 = FhirContext.forR4();
  private final FhirValidator validator = r4.newValidator();

  /** Loads the conformance resources (*.json) of the directories; none may be unreadable, unsound or there twice. */
  Engine(String[] directories) throws IOException {
    PrePopulatedValidationSupport own = new PrePopulatedValidationSupport(r4);
    List<MetadataResource> resources = load(directories);
    resources.forEach(own::addResource);
    ValidationSupportChain support =
        new ValidationSupportChain(
            own,
            new DefaultProfileValidationSupport(r4),
            new InMemoryTerminologyServerValidationSupport(r4),
            new CommonCodeSystemsTerminologyService(r4),
            new SnapshotGeneratingValidationSupport(r4));
    Context context = new Context(support);
    for (MetadataResource resource : resources) {
      if (resource instanceof StructureDefinition profile && !profile.hasSnapshot()) {
        requireSound(profile, context);
      }
    }
    FhirInstanceValidator instances = new FhirInstanceValidator(support);
    instances.setWrappedWorkerContext(support, context);
    // Best practice is a warning. It includes dom-6 (narrative), so that to ignore it would hide too much.
    instances.setBestPracticeWarningLevel(BestPracticeWarningLevel.Warning);
    // An extension without a loaded definition is an error; HAPI: an information.
    instances.setAnyExtensionsAllowed(false);
    // A claimed profile that is not loaded is a warning; HAPI: an error.
    instances.setErrorForUnknownProfiles(false);
    // Codes of vital signs pull in the profiles of vital signs. References out of the Bundle are not followed.
    instances.setValidatorPolicyAdvisor(
        new BasePolicyAdvisorForFullValidation(ReferenceValidationPolicy.IGNORE, Set.of()));
    validator.registerValidatorModule(instances);
  }

  /** May throw anything unchecked if the text is no JSON object. */
  List<SingleValidationMessage> validate(String resource) {
    return validator.validateWithResult(resource).getMessages();
  }

  private List<MetadataResource> load(String[] directories) throws IOException {
    IParser parser = r4.newJsonParser().setParserErrorHandler(new StrictErrorHandler());
    List<MetadataResource> resources = new ArrayList<>();
    Set<String> known = new HashSet<>();
    for (String directory : directories) {
      List<Path> files;
      try (Stream<Path> listing = Files.list(Path.of(directory))) {
        files = listing.filter(Engine::isResource).sorted().toList();
      }
      for (Path file : files) {
        try {
          if (parser.parseResource(Files.readString(file)) instanceof MetadataResource resource) {
            if (!known.add(resource.fhirType() + " " + resource.getUrl() + "|" + resource.getVersion())) {
              throw new IllegalArgumentException(file + ": defined twice: " + resource.getUrl());
            }
            resources.add(resource);
          }
        } catch (DataFormatException failure) {
          throw new IllegalArgumentException(file + ": " + failure.getMessage(), failure);
        }
      }
    }
    return resources;
  }

  /** An unpacked FHIR package has two other files, package.json and .index.json. */
  private static boolean isResource(Path file) {
    String name = file.getFileName().toString();
    return name.endsWith(".json") && !name.startsWith(".") && !name.equals("package.json");
  }

  /**
   * Throws if a differential does not fit its base. HAPI's generator of snapshots would keep silent about that and
   * leave the element out, so that the profile binds nobody.
   */
  private void requireSound(StructureDefinition profile, Context context) {
    List<ValidationMessage> faults = new ArrayList<>();
    try {
      var derived = new VersionCanonicalizer(r4).structureDefinitionToCanonical(profile.copy());
      var base = context.fetchResource(derived.getClass(), profile.getBaseDefinition());
      new ProfileUtilities(context, faults, new ProfileKnowledgeWorkerR5(r4))
          .generateSnapshot(base, derived, profile.getUrl(), null, profile.getName());
    } catch (RuntimeException failure) {
      throw new IllegalArgumentException(profile.getUrl() + ": " + failure.getMessage(), failure);
    }
    faults.removeIf(fault -> !fault.isError());
    if (!faults.isEmpty()) {
      throw new IllegalArgumentException(profile.getUrl() + ": " + faults.get(0).getMessage());
    }
  }

  /**
   * Judges concepts of several codings: one of them in the value set is enough, and each must be a code of its own
   * system. HAPI lets its users choose between all in the value set, and nothing said about the others.
   */
  private static final class Context extends WorkerContextValidationSupportAdapter {

    Context(IValidationSupport support) {
      super(support);
    }

    @Override
    public ValidationResult validateCode(ValidationOptions options, CodeableConcept concept, ValueSet valueSet) {
      if (concept.getCoding().size() < 2) {
        return super.validateCode(options, concept, valueSet);
      }
      List<OperationOutcomeIssueComponent> issues = new ArrayList<>();
      ValidationResult member = null;
      ValidationResult last = null;
      for (Coding coding : concept.getCoding()) {
        last = super.validateCode(options, new CodeableConcept(coding), valueSet);
        issues.addAll(last.getIssues());
        member = member == null && last.isOk() ? last : member;
      }
      if (member != null) {
        issues.removeIf(
            issue -> issue.getDetails().hasCoding(CodeValidationIssueCoding.TX_ISSUE_SYSTEM, "not-in-vs"));
      }
      ValidationResult verdict = new ValidationResult(member != null ? member : last);
      verdict.getIssues().clear();
      verdict.getIssues().addAll(issues);
      return verdict;
    }
  }
}
